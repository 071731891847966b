import { type CreateRequest, newId, type Principal, type Route, type Sandbox, SandboxerError } from "../contract/index.ts";
import type { MergedNetwork } from "../guard/index.ts";
import {
  findIdempotent,
  insertIdempotent,
  findInScope,
  insertNetwork,
  insertSandboxSecrets,
  type SandboxRow,
  type Scope,
} from "../ledger/index.ts";
import { usedAt } from "./activity.ts";
import { admit as admitOne } from "./admission.ts";
import { digest } from "./canonical.ts";
import { followClock } from "./clock-jump.ts";
import { type Context, durability, hostFor, neverAborted } from "./context.ts";
import { replay } from "./idempotency.ts";
import { beginSandbox } from "./lifecycle.ts";
import { admit, make } from "./make.ts";
import { withCost } from "./money/cost.ts";
import { reserve } from "./money/reserve.ts";
import { type Plan, refusal } from "./plan.ts";
import { ask } from "./policy/ask.ts";
import { createSubject } from "./policy/things.ts";
import { eachProfile, type Outcome } from "./profile-chain.ts";
import type { Admission } from "./routing/gates.ts";
import { instead } from "./routing/record.ts";
import { attach, scopeOf, wasLost } from "./scope.ts";
import { type ResolvedSecrets, resolveSecrets } from "./secret-binding.ts";
import { toSandbox } from "./view.ts";

export interface CreateOptions {
  readonly idempotencyKey?: string;
  readonly signal?: AbortSignal;
}

/** Of idempotency, with what was asked under it. */
interface Key {
  readonly key: string;
  readonly digest: string;
}

export interface Provisioned {
  readonly sandbox: Sandbox;
  readonly replayed: boolean;
  readonly attached: boolean;
}

/** Makes a sandbox: plan, row, provider, ready. On an error nothing is left, or the sweep is told what may be. */
export async function provision(
  ctx: Context,
  who: Principal,
  input: CreateRequest,
  { idempotencyKey, signal = neverAborted() }: CreateOptions,
): Promise<Provisioned> {
  const key = idempotencyKey === undefined ? undefined : { key: keyWithin(who, idempotencyKey), digest: digest(input) };
  if (key !== undefined) {
    const seen = await replay(ctx, who.tenant, key.key, key.digest, signal);
    if (seen !== undefined) return { sandbox: seen, replayed: true, attached: false };
  }
  const made = await eachProfile(ctx, who, input, (plan) => provisionAs(ctx, who, plan, key, signal));
  if (made !== "taken") return { sandbox: made, replayed: false, attached: made.attached === true };
  // A key, of idempotency or of a scope, was taken between two looks. If its user has failed and let go of it, the next round has it.
  return provision(ctx, who, input, { signal, ...(idempotencyKey === undefined ? {} : { idempotencyKey }) });
}

/** Makes it as one plan says. `taken`: its key is in use. */
async function provisionAs(
  ctx: Context,
  who: Principal,
  plan: Plan,
  key: Key | undefined,
  signal: AbortSignal,
): Promise<Outcome<Sandbox | "taken">> {
  await ctx.telemetry.span("sandbox.policy", {}, () => askCreate(ctx, who, plan));
  const scope = scopeOf(who, plan.document, plan.request);
  if (scope !== null) {
    const found = await attachTo(ctx, who, plan, scope, key, signal);
    if (found !== undefined) return { done: found };
  }
  if (plan.ranking.ranked.length === 0) return { error: refusal(plan), final: false };
  const secrets = await resolveSecrets(ctx, who, plan.profile, plan.secrets, signal);
  ctx.failpoint("create.before_row");
  // Before new deadlines are made: those of before a jump are moved along, these must not be.
  await followClock(ctx);
  const admission = admit(ctx, plan, plan.ranking.ranked);
  if (admission instanceof SandboxerError) return { error: admission, final: false };
  let used = false;
  try {
    const row = newRow(ctx, who, plan, admission, scope);
    if (scope !== null && (await wasLost(ctx, scope))) row.state_lost = 1;
    const abort = new AbortController();
    // Known as being made before its row can be seen, so that no sweep takes it for abandoned.
    const done = ctx.live.beginCreate(row.id, abort);
    try {
      if (!(await ctx.telemetry.span("sandbox.admit", { "sandbox.id": row.id }, () => begin(ctx, who, row, plan, secrets, { key, scope }))))
        return { done: "taken" };
      used = true;
      return await make(ctx, row, plan, secrets, admission, AbortSignal.any([signal, abort.signal]));
    } finally {
      done();
    }
  } finally {
    if (!used) admission.released({ unused: true });
  }
}

/** A project's keys of idempotency are its own: what another project made is not answered. */
function keyWithin({ project }: Principal, key: string): string {
  return project === undefined ? key : `${project}\u001f${key}`;
}

async function askCreate(ctx: Context, who: Principal, { request, profile, settings, secrets, ranking, ports }: Plan): Promise<void> {
  await ask(ctx, who, "sandbox.create", () =>
    createSubject(settings, profile, who.tenant, {
      image: settings.image,
      setup: settings.setup.length > 0,
      ports,
      secrets: secrets.map(({ name }) => name),
      backends: ranking.ranked,
      metadata: request.metadata ?? {},
      pricePerHour: dearest(ranking),
    }),
  );
}

/** What the dearest backend that may be tried costs an hour; undefined where one's price is not known. */
function dearest({ ranked, route }: Plan["ranking"]): number | undefined {
  const prices = ranked.map((name) => route.candidates.find(({ backend }) => backend === name)?.cost?.per_hour_micro_usd);
  const known = prices.filter((price) => price !== undefined);
  return known.length === prices.length && known.length > 0 ? Math.max(...known) : undefined;
}

/** The one that has the scope's key, where one does: an idempotency key that came with it names it from now on. */
async function attachTo(
  ctx: Context,
  who: Principal,
  { settings }: Plan,
  scope: Scope,
  key: Key | undefined,
  signal: AbortSignal,
): Promise<Sandbox | undefined> {
  // One that is being made may wait for a fallback or two.
  const found = await attach(ctx, scope, settings.readyTimeout * 3000, signal);
  if (found === undefined) return undefined;
  if (key !== undefined)
    await ctx.ledger.transaction(async (tx) => {
      if ((await findIdempotent(tx, who.tenant, key.key)) !== undefined) return;
      await insertIdempotent(tx, { tenant: who.tenant, ...key, sandbox_id: found.id, created_at: ctx.clock.now() });
    });
  return { ...(await withCost(ctx, toSandbox(found))), attached: true };
}

/** The row before any effect, in one transaction with the count that admits it. False where one of its keys is in use. */
async function begin(
  ctx: Context,
  who: Principal,
  row: SandboxRow,
  { settings }: Plan,
  secrets: ResolvedSecrets,
  { key, scope }: { key: Key | undefined; scope: Scope | null },
): Promise<boolean> {
  const data = {
    backend: row.backend, profile: `${row.profile_name}@${row.profile_version}`, route: told(JSON.parse(row.route) as Route), narrowed: settings.narrowed, key_id: who.key_id,
  }; // prettier-ignore
  return ctx.ledger.transaction(
    async (tx) => {
      if (key !== undefined && (await findIdempotent(tx, who.tenant, key.key)) !== undefined) return false;
      if (scope !== null && (await findInScope(tx, scope)) !== undefined) return false;
      await admitOne(ctx, tx, who, row.created_at);
      await beginSandbox(tx, row, data);
      if (settings.network !== null) await insertNetwork(tx, egressOf(row, settings.network));
      await reserve(ctx, tx, row, who.key_id, row.created_at);
      await insertSandboxSecrets(tx, secrets.rows(row.id));
      if (key !== undefined) {
        await insertIdempotent(tx, {
          tenant: who.tenant,
          key: key.key,
          digest: key.digest,
          sandbox_id: row.id,
          created_at: row.created_at,
        });
      }
      return true;
    },
    durability(ctx, row.backend),
  );
}

/** An event says who was asked for and why; what was measured and what it costs stands with the sandbox. */
function told({ chosen, reason, candidates }: Route): Route {
  return { chosen, reason, candidates: candidates.map(({ backend, verdict, reason }) => ({ backend, verdict, reason })) };
}

function egressOf({ id, tenant, generation, created_at }: SandboxRow, { policy, ceiling }: MergedNetwork) {
  return { sandboxId: id, tenant, generation, policy: JSON.stringify(policy), ceiling: JSON.stringify(ceiling), at: created_at };
}

function newRow(
  ctx: Context,
  who: Principal,
  { request, profile, document, settings, ranking }: Plan,
  admission: Admission,
  scope: Scope | null,
): SandboxRow {
  const now = ctx.clock.now();
  const maxLifeAt = now + Math.ceil(settings.maxLife * 1000);
  return {
    id: newId("sandbox", now),
    tenant: who.tenant,
    name: request.name ?? null,
    profile_name: profile.name,
    profile_version: profile.version,
    profile_digest: profile.digest,
    backend: admission.backend,
    ref: null,
    state: "provisioning",
    desired: "running",
    generation: 1,
    owner: ctx.instance,
    host: hostFor(ctx, ranking.ranked[0] ?? ""),
    isolation_min: settings.isolationMin,
    isolation_effective: null,
    runtime: null,
    isolation_notes: "[]",
    resources: JSON.stringify(settings.resources),
    narrowed: JSON.stringify(settings.narrowed),
    route: JSON.stringify(admission.instead === undefined ? ranking.route : instead(ranking.route, admission.backend, admission.instead)),
    metadata: JSON.stringify(request.metadata ?? {}),
    created_at: now,
    ready_at: null,
    ...usedAt({ idle_seconds: settings.idle }, now),
    expires_at: Math.min(maxLifeAt, now + Math.ceil(settings.ttl * 1000)),
    max_life_at: maxLifeAt,
    idle_seconds: settings.idle,
    ended_at: null,
    termination_reason: null,
    termination_detail: null,
    error_code: null,
    error_message: null,
    state_lost: 0,
    persistence: document.persistence ?? "ephemeral",
    on_idle: settings.onIdle,
    on_expire: settings.onExpire,
    on_use: settings.onUse,
    ttl_seconds: settings.ttl,
    rested_at: null,
    rest_because: null,
    canary: null,
    scope: scope?.kind ?? null,
    scope_key: scope?.key ?? null,
    project: who.project ?? null,
    key_id: who.key_id,
  };
}

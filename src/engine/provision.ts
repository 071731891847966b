import { type CreateRequest, newId, type Principal, type Sandbox, SandboxerError } from "../contract/index.ts";
import { admitOneMore, type MergedNetwork } from "../guard/index.ts";
import { countLive, findIdempotent, insertIdempotent, insertNetwork, insertSandboxSecrets, type SandboxRow } from "../ledger/index.ts";
import { usedAt } from "./activity.ts";
import { attempt, type Attempt } from "./attempt.ts";
import { digest } from "./canonical.ts";
import { followClock } from "./clock-jump.ts";
import { type Context, durability, neverAborted } from "./context.ts";
import { replay } from "./idempotency.ts";
import { beginSandbox } from "./lifecycle.ts";
import { type Plan, plan, refusal } from "./plan.ts";
import { type ResolvedSecrets, resolveSecrets } from "./secret-binding.ts";
import { fallBack, giveUp } from "./unwind.ts";
import { toSandbox } from "./view.ts";

export interface CreateOptions {
  readonly idempotencyKey?: string;
  readonly signal?: AbortSignal;
}

/** Makes a sandbox: plan, row, provider, ready. On an error nothing is left, or the sweep is told what may be. */
export async function provision(
  ctx: Context,
  who: Principal,
  input: CreateRequest,
  { idempotencyKey, signal = neverAborted() }: CreateOptions,
): Promise<{ sandbox: Sandbox; replayed: boolean }> {
  const key = idempotencyKey === undefined ? undefined : { key: idempotencyKey, digest: digest(input) };
  if (key !== undefined) {
    const seen = await replay(ctx, who.tenant, key.key, key.digest, signal);
    if (seen !== undefined) return { sandbox: seen, replayed: true };
  }
  const decided = await ctx.telemetry.span("sandbox.plan", {}, () => plan(ctx, who, input));
  if (decided.ranking.ranked.length === 0) throw refusal(decided);
  const secrets = await resolveSecrets(ctx, who, decided.profile, decided.secrets, signal);
  ctx.failpoint("create.before_row");
  // Before new deadlines are made: those of before a jump are moved along, these must not be.
  await followClock(ctx);
  const row = newRow(ctx, who, decided);
  const abort = new AbortController();
  // Known as being made before its row can be seen, so that no sweep takes it for abandoned.
  const done = ctx.live.beginCreate(row.id, abort);
  try {
    if (await ctx.telemetry.span("sandbox.admit", { "sandbox.id": row.id }, () => begin(ctx, who, row, decided, secrets, key))) {
      return { sandbox: toSandbox(await make(ctx, row, decided, secrets, AbortSignal.any([signal, abort.signal]))), replayed: false };
    }
  } finally {
    done();
  }
  // The key was taken between two looks. If its user has failed and let go of it, the next round has it.
  return provision(ctx, who, input, { signal, ...(idempotencyKey === undefined ? {} : { idempotencyKey }) });
}

/** The row before any effect, in one transaction with the count that admits it. False where the key is in use. */
async function begin(
  ctx: Context,
  who: Principal,
  row: SandboxRow,
  { ranking, settings }: Plan,
  secrets: ResolvedSecrets,
  key: { key: string; digest: string } | undefined,
): Promise<boolean> {
  const data = {
    backend: row.backend, profile: `${row.profile_name}@${row.profile_version}`, route: ranking.route, narrowed: settings.narrowed, key_id: who.key_id,
  }; // prettier-ignore
  return ctx.ledger.transaction(
    async (tx) => {
      if (key !== undefined && (await findIdempotent(tx, who.tenant, key.key)) !== undefined) return false;
      admitOneMore(await countLive(tx, who.tenant), ctx.config.limits ?? {});
      await beginSandbox(tx, row, data);
      if (settings.network !== null) await insertNetwork(tx, egressOf(row, settings.network));
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

function egressOf({ id, tenant, generation, created_at }: SandboxRow, { policy, ceiling }: MergedNetwork) {
  return { sandboxId: id, tenant, generation, policy: JSON.stringify(policy), ceiling: JSON.stringify(ceiling), at: created_at };
}

function newRow(ctx: Context, who: Principal, { request, profile, settings, ranking }: Plan): SandboxRow {
  const now = ctx.clock.now();
  const maxLifeAt = now + Math.ceil(settings.maxLife * 1000);
  return {
    id: newId("sandbox"),
    tenant: who.tenant,
    name: request.name ?? null,
    profile_name: profile.name,
    profile_version: profile.version,
    profile_digest: profile.digest,
    backend: ranking.ranked[0] ?? "",
    ref: null,
    state: "provisioning",
    desired: "running",
    generation: 1,
    owner: ctx.instance,
    isolation_min: settings.isolationMin,
    isolation_effective: null,
    runtime: null,
    isolation_notes: "[]",
    resources: JSON.stringify(settings.resources),
    narrowed: JSON.stringify(settings.narrowed),
    route: JSON.stringify(ranking.route),
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
  };
}

/** Tries the ranked backends in turn; the next one only after a retryable error of which nothing is left. */
async function make(ctx: Context, first: SandboxRow, decided: Plan, secrets: ResolvedSecrets, signal: AbortSignal): Promise<SandboxRow> {
  let row = first;
  for (const [index] of decided.ranking.ranked.entries()) {
    const result: Attempt = await attempt(ctx, row, decided.settings, secrets, signal);
    ctx.measure.count("sandboxer_creates_total", { backend: row.backend, result: result.ok ? "ok" : result.error.code });
    if (result.ok) return result.row;
    const next = decided.ranking.ranked[index + 1];
    const mayFallBack = next !== undefined && result.error.retryable && result.left === "nothing" && !signal.aborted;
    const moved = mayFallBack ? await fallBack(ctx, row, next, result.error) : undefined;
    if (moved === undefined) throw await giveUp(ctx, row, result);
    row = moved;
  }
  throw new SandboxerError("internal", "a ranking ran out of backends without an error", { phase: "create" });
}

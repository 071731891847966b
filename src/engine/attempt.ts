import {
  type Created,
  type EgressInside,
  meetsIsolation,
  type Provider,
  type Ref,
  SandboxerError,
  type SandboxSpec,
} from "../contract/index.ts";
import { type SandboxRow, updateNetwork, updateSandbox } from "../ledger/index.ts";
import type { Settings } from "../guard/index.ts";
import { usedAt } from "./activity.ts";
import { wantsCanary, writeCanary } from "./canary.ts";
import { type Context, durability, op, providerOf } from "./context.ts";
import { move } from "./lifecycle.ts";
import { attachEgress, prepareEgress, releaseEgress } from "./network/egress.ts";
import { writePlaceholders } from "./network/placeholders.ts";
import type { ResolvedSecrets } from "./secret-binding.ts";
import { deliverIfStale } from "./secret-delivery.ts";
import { runSetup } from "./setup.ts";

/** How one try at one backend went. `left`: what may still be there: nothing, a known object, or something unknown. */
export type Attempt =
  | { readonly ok: true; readonly row: SandboxRow }
  | { readonly ok: false; readonly error: SandboxerError; readonly left: "nothing" | "unknown" }
  | { readonly ok: false; readonly error: SandboxerError; readonly left: "object"; readonly ref: Ref };

/** How long a provider may take to react to an abort before its create counts as ambiguous. */
const ABORT_GRACE_MS = 10_000;

function specOf(row: SandboxRow, settings: Settings, { expose }: ResolvedSecrets, egress: EgressInside | undefined): SandboxSpec {
  const { cpu, memory_bytes, disk_bytes, inodes, pids } = settings.resources;
  return {
    id: row.id,
    tenant: row.tenant,
    generation: row.generation,
    image: settings.image,
    ...(settings.user === undefined ? {} : { user: settings.user }),
    ...(settings.services === undefined ? {} : { services: settings.services }),
    hostname: row.id,
    // The request's own value of a variable would hide the placeholder.
    env: { ...settings.env, ...expose.env },
    resources: { cpu, memoryBytes: memory_bytes, diskBytes: disk_bytes, inodes, pids },
    isolationMin: row.isolation_min,
    allowPtrace: settings.allowPtrace,
    maxLifeAt: row.max_life_at,
    metadata: JSON.parse(row.metadata) as Record<string, string>,
    ...(egress === undefined ? {} : { egress }),
  };
}

/** The provider's create, or `ambiguous_create` where it does not even answer to an abort; what comes late is destroyed. */
async function createInTime(ctx: Context, provider: Provider, spec: SandboxSpec, signal: AbortSignal): Promise<Created> {
  const creating = provider.create(spec, op(ctx, signal));
  const { promise: overdue, reject } = Promise.withResolvers<never>();
  let timer: NodeJS.Timeout | undefined;
  const late = () => {
    timer = setTimeout(() => {
      reject(new SandboxerError("ambiguous_create", "the backend did not react to an abort of its create", { phase: "create" }));
      ctx.live.background(
        creating.then(
          async ({ ref }) =>
            void (await provider
              .destroy(ref, op(ctx))
              .catch((thrown: unknown) =>
                ctx.log.warn({ sandbox: spec.id, error: String(thrown) }, "a late create could not be undone; the sweep will"),
              )),
          (thrown: unknown) => ctx.log.debug({ sandbox: spec.id, error: String(thrown) }, "a late create failed"),
        ),
      );
    }, ABORT_GRACE_MS);
  };
  signal.addEventListener("abort", late, { once: true });
  try {
    return await Promise.race([creating, overdue]);
  } finally {
    signal.removeEventListener("abort", late);
    clearTimeout(timer);
  }
}

function check(spec: SandboxSpec, { ref, isolation }: Created): void {
  if (ref.id !== spec.id || ref.generation !== spec.generation) {
    throw new SandboxerError(
      "backend_rejected",
      `the backend answered with a handle to ${ref.id} generation ${ref.generation}, not to what was asked for`,
      { phase: "create" },
    );
  }
  if (!meetsIsolation(isolation.level, spec.isolationMin)) {
    throw new SandboxerError(
      "isolation_unavailable",
      `the backend made it at isolation ${isolation.level} (${isolation.runtime}), below ${spec.isolationMin}`,
      { phase: "create" },
    );
  }
}

/** One create at the row's backend, up to `ready`. Never throws: what went wrong and what is left is the result. */
export async function attempt(
  ctx: Context,
  row: SandboxRow,
  settings: Settings,
  secrets: ResolvedSecrets,
  caller: AbortSignal,
): Promise<Attempt> {
  const result = await tryOnce(ctx, row, settings, secrets, caller);
  // Whatever is left at the backend, nothing gets out of it from here on.
  if (!result.ok && settings.network !== null) await releaseEgress(ctx, row.id);
  return result;
}

async function tryOnce(ctx: Context, row: SandboxRow, settings: Settings, secrets: ResolvedSecrets, caller: AbortSignal): Promise<Attempt> {
  const began = performance.now();
  const where = { phase: "create", backend: row.backend };
  const clock = AbortSignal.timeout(Math.ceil(settings.readyTimeout * 1000));
  const signal = AbortSignal.any([caller, clock]);
  const explain = (thrown: unknown): SandboxerError => {
    if (!clock.aborted || caller.aborted || (thrown instanceof SandboxerError && thrown.code !== "canceled" && thrown.code !== "timeout"))
      return SandboxerError.from(thrown, where);
    return new SandboxerError("timeout", `it was not ready within ready_timeout (${settings.readyTimeout}s)`, { ...where, cause: thrown });
  };
  let spec: SandboxSpec;
  let created: Created;
  try {
    const provider = providerOf(ctx, row.backend);
    ctx.failpoint("create.after_row");
    signal.throwIfAborted();
    spec = specOf(row, settings, secrets, settings.network === null ? undefined : await prepareEgress(ctx, row, secrets.bound));
    ctx.failpoint("create.after_prepare");
    const asked = performance.now();
    const attributes = { "sandbox.id": row.id, backend: row.backend, generation: row.generation };
    created = await ctx.telemetry.span("provider.create", attributes, () => createInTime(ctx, provider, spec, signal));
    ctx.measure.latency(row.backend, "cold_start", performance.now() - asked);
  } catch (thrown) {
    // A provider promises that nothing is left unless it says ambiguous; one that throws something else has broken its contract.
    const certain = thrown instanceof SandboxerError ? thrown.code !== "ambiguous_create" && thrown.code !== "internal" : signal.aborted;
    return { ok: false, error: explain(thrown), left: certain ? "nothing" : "unknown" };
  }
  try {
    ctx.failpoint("create.after_provider");
    check(spec, created);
    const ref = JSON.stringify(created.ref);
    if (settings.network !== null) {
      // A secret that was changed since it was resolved.
      await deliverIfStale(ctx, row.id);
      const { ref: made } = created;
      await ctx.telemetry.span("sandbox.attach_egress", { "sandbox.id": row.id }, () => attachEgress(ctx, row, made, signal));
      await writePlaceholders(ctx, row, created.ref, secrets, signal);
    }
    ctx.failpoint("create.after_attach");
    if (settings.setup.length > 0) {
      await updateSandbox(ctx.ledger.db, row.id, { ref });
      const { ref: made } = created;
      await ctx.telemetry.span("sandbox.setup", { "sandbox.id": row.id }, () => runSetup(ctx, row, made, settings.setup, signal));
      ctx.failpoint("create.after_setup");
    }
    const canary = wantsCanary(row) ? await writeCanary(ctx, row, created.ref, signal) : null;
    signal.throwIfAborted();
    ctx.failpoint("create.before_ready");
    const at = ctx.clock.now();
    const ready = await ctx.ledger.transaction(
      async (tx) => {
        if (settings.network !== null) await updateNetwork(tx, row.id, { attached: 1, applied: 1, problem: null });
        return move(tx, row.id, "mark_ready", {
          at,
          patch: {
            ref,
            canary,
            ready_at: at,
            owner: null,
            ...usedAt(row, at),
            isolation_effective: created.isolation.level,
            runtime: created.isolation.runtime,
            isolation_notes: JSON.stringify(created.isolation.notes),
          },
          data: { backend: row.backend, isolation: created.isolation.level, runtime: created.isolation.runtime },
        });
      },
      durability(ctx, row.backend),
    );
    ctx.failpoint("create.after_ready");
    ctx.measure.latency(row.backend, "create", performance.now() - began);
    return { ok: true, row: ready };
  } catch (thrown) {
    return { ok: false, error: explain(thrown), left: "object", ref: created.ref };
  }
}

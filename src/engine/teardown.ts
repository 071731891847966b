import { promises as timers } from "node:timers";
import { isTerminal, type Listed, type Provider, type Ref, SandboxerError, type TerminationReason } from "../contract/index.ts";
import { appendEvent, findSandbox, type SandboxRow, updateSandbox } from "../ledger/index.ts";
import { type Context, durability, op, providerOf } from "./context.ts";
import { livingInstances } from "./instances.ts";
import { move } from "./lifecycle.ts";
import { releaseEgress } from "./network/egress.ts";
import { storedRef } from "./view.ts";

export interface Why {
  readonly reason: TerminationReason;
  readonly detail: string | null;
}

/** How long a destroy waits for another process to unwind the create it is in the middle of. */
const UNWIND_MS = 90_000;
/** How long a backend may take to confirm. */
const CONFIRM_MS = 120_000;

const isStorage = (thrown: unknown): thrown is SandboxerError => thrown instanceof SandboxerError && thrown.code === "storage_unavailable";

/**
 * Ends a sandbox and resolves once the backend has confirmed it; a second call joins the first. Goes on to the backend
 * also where the ledger cannot be written: the answer then tells what is true, and a later sweep writes it down.
 *
 * @throws SandboxerError what the backend answered: the sandbox is then `stopping`, and the sweep goes on with it.
 */
export function endSandbox(ctx: Context, row: SandboxRow, why: Why): Promise<SandboxRow> {
  return isTerminal(row.state) ? Promise.resolve(row) : ctx.live.end(row.id, () => teardown(ctx, row, why));
}

async function teardown(ctx: Context, seen: SandboxRow, why: Why): Promise<SandboxRow> {
  const began = performance.now();
  ctx.failpoint("destroy.before_row");
  let row = await stop(ctx, seen, why);
  if (isTerminal(row.state)) return row;
  ctx.failpoint("destroy.after_row");
  ctx.live.abortExecs(row.id);
  ctx.live.abortConnections(row.id);
  await ctx.live.cancelCreate(row.id);
  await ctx.live.moved(row.id);
  row = await waitForOwner(ctx, (await findSandbox(ctx.ledger.db, row.id)) ?? row);
  if (isTerminal(row.state)) return row;
  try {
    await destroyObjects(ctx, row);
  } catch (thrown) {
    throw await unconfirmed(ctx, row, SandboxerError.from(thrown, { phase: "destroy", backend: row.backend }));
  }
  ctx.failpoint("destroy.after_provider");
  await releaseEgress(ctx, row.id);
  ctx.failpoint("destroy.after_release");
  const ended = await confirm(ctx, row, why);
  ctx.activity.forget(row.id);
  ctx.measure.latency(row.backend, "destroy", performance.now() - began);
  ctx.measure.count("sandboxer_ended_total", { backend: row.backend, reason: ended.termination_reason ?? ended.error_code ?? "unknown" });
  return ended;
}

/** Writes `stopping`. One that is being made in another process keeps its owner: that one unwinds. */
async function stop(ctx: Context, seen: SandboxRow, why: Why): Promise<SandboxRow> {
  try {
    return await ctx.ledger.transaction(
      async (tx) => {
        const row = await findSandbox(tx, seen.id);
        if (row === undefined || isTerminal(row.state)) return row ?? seen;
        const reason = row.state === "stopping" ? {} : { termination_reason: why.reason, termination_detail: why.detail };
        const owner = row.ref === null && row.owner !== null ? {} : { owner: ctx.instance };
        return move(tx, row.id, "stop", { at: ctx.clock.now(), patch: { desired: "terminated", ...reason, ...owner } });
      },
      durability(ctx, seen.backend),
    );
  } catch (thrown) {
    if (!isStorage(thrown)) throw thrown;
    ctx.log.error({ sandbox: seen.id, error: thrown.message }, "destroy goes on without the ledger");
    return seen;
  }
}

async function waitForOwner(ctx: Context, first: SandboxRow): Promise<SandboxRow> {
  let row = first;
  const until = performance.now() + UNWIND_MS;
  while (row.ref === null && row.owner !== null && row.owner !== ctx.instance && !isTerminal(row.state)) {
    if (!(await livingInstances(ctx)).has(row.owner)) return row;
    if (performance.now() > until)
      throw new SandboxerError("timeout", `sandbox ${row.id} is still being unwound by the process that was making it`, {
        phase: "destroy",
        backend: row.backend,
      });
    await timers.setTimeout(25);
    row = (await findSandbox(ctx.ledger.db, row.id)) ?? row;
  }
  return row;
}

/** Every object of that id at the backend, from a list that was read to its end. */
async function findObjects(ctx: Context, provider: Provider, id: string): Promise<Listed[]> {
  const found: Listed[] = [];
  for await (const ref of provider.list(op(ctx))) if (ref.id === id) found.push(ref);
  return found;
}

async function destroyObjects(ctx: Context, row: SandboxRow): Promise<void> {
  const provider = providerOf(ctx, row.backend);
  const known = storedRef(row);
  const refs: readonly Ref[] = known === null ? await findObjects(ctx, provider, row.id) : [known];
  for (const ref of refs)
    await ctx.telemetry.span("provider.destroy", { "sandbox.id": ref.id }, () =>
      provider.destroy(ref, op(ctx, AbortSignal.timeout(CONFIRM_MS))),
    );
}

/** Lets go of it, so that any sweep may go on, and tells the trail. */
async function unconfirmed(ctx: Context, row: SandboxRow, error: SandboxerError): Promise<SandboxerError> {
  ctx.measure.count("sandboxer_errors_total", { verb: "destroy", code: error.code });
  try {
    await ctx.ledger.transaction(async (tx) => {
      await updateSandbox(tx, row.id, { owner: null });
      if (row.owner !== null)
        await appendEvent(tx, {
          type: "sandbox.destroy_failed",
          at: ctx.clock.now(),
          tenant: row.tenant,
          sandboxId: row.id,
          data: { code: error.code, message: error.message },
        });
    });
  } catch (thrown) {
    ctx.log.error({ sandbox: row.id, error: String(thrown) }, "a destroy that failed could not be written either");
  }
  return error;
}

async function confirm(ctx: Context, row: SandboxRow, why: Why): Promise<SandboxRow> {
  const at = ctx.clock.now();
  ctx.failpoint("destroy.before_settle");
  try {
    const ended = await ctx.ledger.transaction(
      async (tx) => {
        let current = await findSandbox(tx, row.id);
        if (current === undefined || isTerminal(current.state)) return current ?? row;
        if (current.state !== "stopping") {
          // The stop could not be written before; it has happened all the same.
          current = await move(tx, row.id, "stop", {
            at,
            patch: { termination_reason: why.reason, termination_detail: why.detail, desired: "terminated" },
          });
        }
        const neverReady = current.ready_at === null && current.error_code !== null;
        return move(tx, row.id, neverReady ? "fail" : "confirm_gone", { at });
      },
      durability(ctx, row.backend),
    );
    ctx.failpoint("destroy.after_settle");
    return ended;
  } catch (thrown) {
    if (!isStorage(thrown)) throw thrown;
    ctx.log.error({ sandbox: row.id, error: thrown.message }, "the sandbox is gone, but the ledger cannot be told; the sweep will");
    return {
      ...row,
      state: "terminated",
      desired: "terminated",
      owner: null,
      ended_at: at,
      termination_reason: row.termination_reason ?? why.reason,
      termination_detail: row.termination_detail ?? why.detail,
    };
  }
}

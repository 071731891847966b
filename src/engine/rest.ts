import { promises as timers } from "node:timers";
import { type Created, isTerminal, type Ref, type RestState, SandboxerError } from "../contract/index.ts";
import { type Db, findNetwork, findSandbox, type SandboxPatch, type SandboxRow, updateSandbox } from "../ledger/index.ts";
import { usedAt } from "./activity.ts";
import { canaryHolds, wantsCanary, writeCanary } from "./canary.ts";
import { type Context, durability, op, providerOf } from "./context.ts";
import { livingInstances } from "./instances.ts";
import { allow, move } from "./lifecycle.ts";
import { attachEgress } from "./network/egress.ts";
import { storedRef } from "./view.ts";

/** How long a backend may take, and how long one mover waits for another. */
const WITHIN_MS = 60_000;

/** What is kept by each: 0 runs, 1 keeps its memory, 2 its disk. */
const DEPTH: Readonly<Partial<Record<SandboxRow["state"], number>>> = { paused: 1, suspended: 2 };
const VERB = { paused: "pause", suspended: "suspend" } as const;

export interface RestOptions {
  readonly because: NonNullable<SandboxRow["rest_because"]>;
  /** Asked again in the transaction that begins it: what came first wins. */
  readonly due?: (tx: Db, row: SandboxRow) => Promise<boolean>;
  /** Where it is finished what a crash left: whether anything in it was seen to run. */
  readonly found?: "running" | "still";
}

/** Whether someone alive is in the middle of moving it. */
export async function isBeingMoved(ctx: Context, row: SandboxRow): Promise<boolean> {
  if (ctx.live.isMoving(row.id)) return true;
  return row.owner !== null && row.owner !== ctx.instance && (await livingInstances(ctx)).has(row.owner);
}

/** Waits for another process that moves it, and answers the row as it is then. */
async function whenFree(ctx: Context, id: string): Promise<SandboxRow> {
  const until = performance.now() + WITHIN_MS;
  for (;;) {
    const row = await findSandbox(ctx.ledger.db, id);
    if (row === undefined) throw new SandboxerError("sandbox_not_found", `there is no sandbox ${id}`);
    const free = row.owner === null || row.owner === ctx.instance || !(await livingInstances(ctx)).has(row.owner);
    if (free || isTerminal(row.state) || row.state === "stopping" || row.state === "provisioning") return row;
    if (performance.now() > until)
      throw new SandboxerError("timeout", `sandbox ${id} is still being paused or resumed by another process`, { phase: "rest" });
    await timers.setTimeout(25);
  }
}

function refOf(row: SandboxRow): Ref {
  const ref = storedRef(row);
  if (ref === null) throw new SandboxerError("internal", `sandbox ${row.id} is ${row.state} without a handle`);
  return ref;
}

/** Once the ttl has brought it to rest, what is left to it is its max_life. */
const afterExpiry = ({ max_life_at }: SandboxRow, { because }: RestOptions): SandboxPatch =>
  because === "expired" ? { expires_at: max_life_at } : {};

/** Says where it is being taken, before any effect. undefined: it is there already, or it is not due any more. */
async function beginRest(ctx: Context, id: string, to: RestState, options: RestOptions): Promise<SandboxRow | undefined> {
  return ctx.ledger.transaction(async (tx) => {
    const row = await findSandbox(tx, id);
    if (row === undefined || (options.due !== undefined && !(await options.due(tx, row)))) return undefined;
    if ((DEPTH[row.state] ?? 0) >= (DEPTH[to] ?? 0)) {
      await updateSandbox(tx, id, { desired: row.state === "paused" ? "paused" : "suspended", ...afterExpiry(row, options) });
      return undefined;
    }
    allow(row, VERB[to]);
    const patch = { desired: to, owner: ctx.instance } as const;
    await updateSandbox(tx, id, patch);
    return { ...row, ...patch };
  });
}

/** Takes back what {@link beginRest} or {@link beginRouse} said, where it is still ours to take back. */
async function takeBack(ctx: Context, id: string, desired: SandboxRow["desired"], before: SandboxRow["desired"]): Promise<void> {
  await ctx.ledger.transaction(async (tx) => {
    const row = await findSandbox(tx, id);
    if (row?.owner === ctx.instance && row.desired === desired) await updateSandbox(tx, id, { desired: before, owner: null });
  });
}

/**
 * What its disk says from now on; the row is told before the backend is asked, so that what a crash leaves agrees. One that stands still says
 * what it was told before; where that is nothing, or a pause was left half-way, it runs for the moment it takes.
 */
async function canaryBefore(
  ctx: Context,
  row: SandboxRow,
  to: RestState,
  found: RestOptions["found"],
  signal: AbortSignal,
): Promise<string | null> {
  if (found === "still" || !wantsCanary(row, to) || (row.state !== "ready" && row.canary !== null)) return row.canary;
  const ref = refOf(row);
  const { pause: group } = providerOf(ctx, row.backend);
  if (row.state === "paused" || found === "running") await group?.resume(ref, op(ctx, signal));
  const canary = await writeCanary(ctx, row, ref, signal);
  await updateSandbox(ctx.ledger.db, row.id, { canary });
  return canary;
}

/** Has the backend do it. Both are safe to repeat, which is how what a crash left is finished. */
async function atBackend(ctx: Context, row: SandboxRow, to: RestState, { found }: RestOptions): Promise<string | null> {
  const provider = providerOf(ctx, row.backend);
  const ref = refOf(row);
  const group = to === "paused" ? provider.pause : provider.suspend;
  if (group === undefined)
    throw new SandboxerError("capability_unsupported", `backend ${row.backend} cannot ${VERB[to]} a sandbox`, {
      phase: VERB[to],
      backend: row.backend,
    });
  const signal = AbortSignal.timeout(WITHIN_MS);
  const canary = await canaryBefore(ctx, row, to, found, signal);
  if (to === "suspended") {
    ctx.live.abortExecs(row.id);
    ctx.live.abortConnections(row.id);
  }
  await ("pause" in group ? group.pause(ref, op(ctx, signal)) : group.suspend(ref, op(ctx, signal)));
  return canary;
}

/**
 * Brings a sandbox to rest: the row says so first, then the backend does it, then the state says so. One that stands still that far
 * already is answered as it is.
 *
 * @throws SandboxerError `wrong_state`, `capability_unsupported`, or what the backend answered: it is then as it was, or the sweep sees to it.
 */
export function rest(ctx: Context, { id, backend }: SandboxRow, to: RestState, options: RestOptions): Promise<SandboxRow> {
  return ctx.live.inTurn(id, async () => {
    const seen = await whenFree(ctx, id);
    const row = await beginRest(ctx, id, to, options);
    if (row === undefined) return (await findSandbox(ctx.ledger.db, id)) ?? seen;
    ctx.failpoint(`${VERB[to]}.after_row`);
    let canary: string | null;
    try {
      canary = await atBackend(ctx, row, to, options);
    } catch (thrown) {
      await takeBack(ctx, id, to, seen.desired);
      throw SandboxerError.from(thrown, { phase: VERB[to], backend });
    }
    ctx.failpoint(`${VERB[to]}.after_provider`);
    ctx.activity.forget(id);
    const at = ctx.clock.now();
    const patch = { owner: null, desired: to, canary, rested_at: at, rest_because: options.because, idle_at: null, ...afterExpiry(row, options) }; // prettier-ignore
    return ctx.ledger.transaction(
      (tx) => move(tx, id, VERB[to], { at, patch, data: { because: options.because } }),
      durability(ctx, backend),
    );
  });
}

async function beginRouse(ctx: Context, id: string): Promise<SandboxRow | undefined> {
  return ctx.ledger.transaction(async (tx) => {
    const row = await findSandbox(tx, id);
    if (row === undefined || row.state === "ready") return undefined;
    allow(row, row.state === "suspended" ? "wake" : "resume");
    const patch = { desired: "running", owner: ctx.instance } as const;
    await updateSandbox(tx, id, patch);
    return { ...row, ...patch };
  });
}

/** Runs again, and with its boundary: without that it is put back to rest. */
async function wake(ctx: Context, row: SandboxRow): Promise<Created> {
  const { suspend: group } = providerOf(ctx, row.backend);
  if (group === undefined)
    throw new SandboxerError("capability_unsupported", `backend ${row.backend} cannot wake a sandbox`, {
      phase: "wake",
      backend: row.backend,
    });
  const signal = AbortSignal.timeout(WITHIN_MS);
  const created = await group.wake(refOf(row), op(ctx, signal));
  try {
    if ((await findNetwork(ctx.ledger.db, row.id)) !== undefined) await attachEgress(ctx, row, created.ref, signal);
  } catch (thrown) {
    await group.suspend(created.ref, op(ctx));
    throw thrown;
  }
  return created;
}

async function resume(ctx: Context, row: SandboxRow): Promise<SandboxPatch> {
  const { pause: group } = providerOf(ctx, row.backend);
  if (group === undefined)
    throw new SandboxerError("capability_unsupported", `backend ${row.backend} cannot resume a sandbox`, { phase: "resume", backend: row.backend }); // prettier-ignore
  await group.resume(refOf(row), op(ctx, AbortSignal.timeout(WITHIN_MS)));
  return {};
}

async function woken(ctx: Context, row: SandboxRow): Promise<SandboxPatch> {
  const { ref, isolation } = await wake(ctx, row);
  return {
    ref: JSON.stringify(ref),
    isolation_effective: isolation.level,
    runtime: isolation.runtime,
    isolation_notes: JSON.stringify(isolation.notes),
  };
}

/**
 * Has a sandbox that stands still run again, and looks whether its state is the one of before; where not, it says `state_lost` from then
 * on. One that runs is answered as it is.
 *
 * @throws SandboxerError `wrong_state`, or what the backend answered: it stands still then.
 */
export function rouse(ctx: Context, { id, backend }: SandboxRow, because: "user" | "use" | "repair"): Promise<SandboxRow> {
  return ctx.live.inTurn(id, async () => {
    const seen = await whenFree(ctx, id);
    const row = await beginRouse(ctx, id);
    if (row === undefined) return (await findSandbox(ctx.ledger.db, id)) ?? seen;
    const verb = row.state === "suspended" ? "wake" : "resume";
    ctx.failpoint(`${verb}.after_row`);
    let patch: SandboxPatch;
    try {
      patch = verb === "wake" ? await woken(ctx, row) : await resume(ctx, row);
      if (wantsCanary(row, verb === "wake" ? "suspended" : "paused") && !(await canaryHolds(ctx, row, refOf(row)))) patch.state_lost = 1;
    } catch (thrown) {
      await takeBack(ctx, id, "running", row.state === "suspended" ? "suspended" : "paused");
      throw SandboxerError.from(thrown, { phase: verb, backend });
    }
    ctx.failpoint(`${verb}.after_provider`);
    const at = ctx.clock.now();
    const { rest_because, ttl_seconds: ttl, max_life_at } = row;
    const clocks = rest_because === "expired" && ttl !== null ? { expires_at: Math.min(max_life_at, at + Math.ceil(ttl * 1000)) } : {};
    const change = { ...patch, ...usedAt(row, at), ...clocks, owner: null, rested_at: null, rest_because: null };
    const data = { because, ...(patch.state_lost === 1 ? { state_lost: true } : {}) };
    return ctx.ledger.transaction((tx) => move(tx, id, verb, { at, patch: change, data }), durability(ctx, backend));
  });
}

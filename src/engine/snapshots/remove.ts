import { SandboxerError } from "../../contract/index.ts";
import { appendEvent, changeSnapshot, deleteSnapshot, type SnapshotRow, snapshotsAt } from "../../ledger/index.ts";
import type { Backend } from "../backends.ts";
import { type Context, durability, hostFor, op } from "../context.ts";
import type { Report } from "../report.ts";
import { keeperOf } from "./rows.ts";

/** Takes one away; its row goes when that is confirmed. Throws `conflict` while something stands on it, and leaves it as it was. */
export async function removeSnapshot(ctx: Context, row: SnapshotRow, because: "user" | "expired" | "abandoned"): Promise<void> {
  const snapshots = keeperOf(ctx, row.backend);
  const durable = durability(ctx, row.backend);
  const mine = { state: "removing" as const, owner: ctx.instance };
  const done = ctx.live.beginCreate(row.id, new AbortController());
  try {
    if (!(await ctx.ledger.transaction((tx) => changeSnapshot(tx, row, mine), durable)))
      throw new SandboxerError("wrong_state", `snapshot ${row.id} is being made or removed`, { phase: "snapshot" });
    try {
      await snapshots.remove(row.id, op(ctx));
    } catch (thrown) {
      const back = row.digest === null ? row.state : ("ready" as const);
      await ctx.ledger.transaction((tx) => changeSnapshot(tx, { ...row, ...mine }, { state: back, owner: null }), durable);
      throw thrown;
    }
    await ctx.ledger.transaction(async (tx) => {
      await deleteSnapshot(tx, row.id);
      const data = { snapshot_id: row.id, name: row.name, backend: row.backend, because };
      await appendEvent(tx, { type: "snapshot.removed", at: ctx.clock.now(), tenant: row.tenant, sandboxId: row.sandbox_id, data });
    }, durable);
  } finally {
    done();
  }
} // prettier-ignore

/** Compares a backend's snapshots with the rows: what was half-made, what has had its time, and what no row stands for. */
export async function sweepSnapshots(ctx: Context, backend: Backend, report: Report, living: ReadonlySet<string>): Promise<void> {
  const snapshots = backend.provider?.snapshots;
  if (snapshots === undefined) return;
  const at = { backend: backend.name };
  const found = await snapshots.list(op(ctx));
  const rows = await snapshotsAt(ctx.ledger.db, backend.name, hostFor(ctx, backend.name));
  const now = ctx.clock.now();
  for (const row of rows) {
    const busy = row.owner === ctx.instance ? ctx.live.isCreating(row.id) : row.owner !== null && living.has(row.owner);
    if (busy || (row.state === "ready" && (row.expires_at === null || row.expires_at > now))) continue;
    await report.try(at, () => removeSnapshot(ctx, row, row.state === "making" ? "abandoned" : "expired").catch(unlessInUse));
  }
  const known = new Set(rows.map(({ id }) => id));
  for (const id of found) {
    // Rows come first, and these were read after the list: what has none has none any more.
    if (!known.has(id)) await report.try(at, async () => void (await snapshots.remove(id, op(ctx)).catch(unlessInUse)));
  }
}

/** One that has had its time goes with the last that stands on it. */
function unlessInUse(thrown: unknown): void {
  if (!(thrown instanceof SandboxerError && (thrown.code === "conflict" || thrown.code === "wrong_state"))) throw thrown;
}

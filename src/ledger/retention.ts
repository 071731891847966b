import { promises as timers } from "node:timers";
import { sql } from "kysely";
import type { Db, Ledger } from "./ledger.ts";
import { readMeta, writeMeta } from "./meta.ts";

/** Before which time what is over is forgotten; epoch milliseconds. */
export interface Cutoffs {
  readonly events: number;
  readonly sandboxes: number;
  readonly networkLog: number;
}

export interface Forgotten {
  events: number;
  sandboxes: number;
  network_log: number;
}

/** A batch is halved when it took longer, and doubled when it took less than a third: other writers wait for one at most. */
const BATCH_MS = 20;
const SMALLEST = 10;
const LARGEST = 2000;
/** Of one sandbox in one statement. */
const ROWS = 500;
const DAY_MS = 86_400_000;

/** Runs batches until one finds nothing, with as long a pause after each as it took. `batch` answers how many rows it was for. */
async function inBatches(batch: (size: number) => Promise<number>, signal: AbortSignal): Promise<void> {
  let size = 100;
  for (;;) {
    signal.throwIfAborted();
    const began = performance.now();
    if ((await batch(size)) === 0) return;
    const took = performance.now() - began;
    if (took > BATCH_MS) size = Math.max(SMALLEST, size >> 1);
    else if (took < BATCH_MS / 3) size = Math.min(LARGEST, size * 2);
    await timers.setTimeout(Math.min(took, 1000), undefined, { signal });
  }
}

/**
 * Events stand in the order of their time but for clocks that were set: the walk ends at the first that is to stay, and before what a
 * webhook that is on was not yet told.
 */
async function forgetEvents(tx: Db, before: number, size: number): Promise<number> {
  const untold = await tx.selectFrom("webhooks").select(({ fn }) => fn.min("cursor_seq").as("seq")).where("enabled", "=", 1).where("removed_at", "is", null).executeTakeFirst(); // prettier-ignore
  const told = tx.selectFrom("events").select(["seq", "at"]).orderBy("seq").limit(size);
  const oldest = await (untold === undefined || untold.seq === null ? told : told.where("seq", "<=", untold.seq)).execute();
  const end = oldest.findIndex(({ at }) => at >= before);
  const last = (end === -1 ? oldest : oldest.slice(0, end)).at(-1);
  if (last === undefined) return 0;
  const { numDeletedRows } = await tx.deleteFrom("events").where("seq", "<=", last.seq).executeTakeFirst();
  return Number(numDeletedRows);
}

/** Adds closed stays up by tenant, backend and day, in the transaction that forgets them. */
async function summarise(tx: Db, ids: readonly string[]): Promise<void> {
  const day = sql<number>`closed_at / ${sql.lit(DAY_MS)}`;
  const sums = await tx
    .selectFrom("usage")
    .select(({ fn }) => [
      "tenant",
      "backend",
      day.as("day"),
      fn.countAll<number>().as("stays"),
      fn.sum<number>("creates").as("creates"),
      fn.sum<number>(fn.coalesce("vcpu_seconds", sql<number>`0`)).as("vcpu_seconds"),
      fn.sum<number>(fn.coalesce("mem_mib_seconds", sql<number>`0`)).as("mem_mib_seconds"),
      fn.sum<number>(fn.coalesce("disk_mib_seconds", sql<number>`0`)).as("disk_mib_seconds"),
      fn.sum<number>("egress_bytes_up").as("egress_bytes_up"),
      fn.sum<number>("egress_bytes_down").as("egress_bytes_down"),
    ])
    .where("sandbox_id", "in", ids)
    .groupBy(["tenant", "backend", day])
    .execute();
  for (const row of sums)
    await tx
      .insertInto("usage_summary")
      .values(row)
      .onConflict((conflict) =>
        conflict.columns(["tenant", "backend", "day"]).doUpdateSet((old) => ({
          stays: old("usage_summary.stays", "+", row.stays),
          creates: old("usage_summary.creates", "+", row.creates),
          vcpu_seconds: old("usage_summary.vcpu_seconds", "+", row.vcpu_seconds),
          mem_mib_seconds: old("usage_summary.mem_mib_seconds", "+", row.mem_mib_seconds),
          disk_mib_seconds: old("usage_summary.disk_mib_seconds", "+", row.disk_mib_seconds),
          egress_bytes_up: old("usage_summary.egress_bytes_up", "+", row.egress_bytes_up),
          egress_bytes_down: old("usage_summary.egress_bytes_down", "+", row.egress_bytes_down),
        })),
      )
      .execute();
}

/** How far retention has come through ended sandboxes: those in the books keep their rows, and are not walked again each night. */
interface Place {
  readonly ended_at: number;
  readonly id: string;
}

const PLACE = "retention_after";

/**
 * Ended sandboxes in the order of their end. `owed`: its usage is open or unsettled, or the boundary may still hold something. `booked`: the books
 * have a stay of it, and with that its row and its usage are theirs.
 */
async function endedAfter(db: Db, before: number, after: Place, limit: number) {
  const rows = await db
    .selectFrom("sandboxes")
    .select(["id", "ended_at"])
    .select((eb) => [
      eb
        .selectFrom("usage")
        .select(({ fn }) => fn.countAll<number>().as("n"))
        .whereRef("sandbox_id", "=", "sandboxes.id")
        .where("closed_at", "is", null)
        .as("open"),
      eb
        .selectFrom("sandbox_network")
        .select(({ fn }) => fn.countAll<number>().as("n"))
        .whereRef("sandbox_id", "=", "sandboxes.id")
        .where("released_at", "is", null)
        .as("held"),
      eb
        .selectFrom("stays")
        .select(({ fn }) => fn.countAll<number>().as("n"))
        .whereRef("sandbox_id", "=", "sandboxes.id")
        .as("stays"),
      eb
        .selectFrom("stays")
        .select(({ fn }) => fn.countAll<number>().as("n"))
        .whereRef("sandbox_id", "=", "sandboxes.id")
        .where("settled_at", "is", null)
        .as("unsettled"),
    ]) // prettier-ignore
    .where("ended_at", "is not", null)
    .where("ended_at", "<", before)
    .where("ended_at", ">=", after.ended_at)
    .where((eb) => eb.or([eb("ended_at", ">", after.ended_at), eb("id", ">", after.id)]))
    .orderBy("ended_at")
    .orderBy("id")
    .limit(limit)
    .execute();
  return rows.map(({ id, ended_at, open, held, stays, unsettled }) => ({
    id,
    ended_at: ended_at ?? 0,
    owed: (open ?? 0) + (held ?? 0) + (unsettled ?? 0) > 0,
    booked: (stays ?? 0) > 0,
  }));
}

/** What may be very many rows of one sandbox, some at a time. Answers how many there were. */
async function thin(tx: Db, id: string): Promise<number> {
  const log = await tx.selectFrom("network_log").select("seq").where("sandbox_id", "=", id).orderBy("seq").limit(ROWS).execute();
  const lastSeq = log.at(-1)?.seq;
  if (lastSeq !== undefined) await tx.deleteFrom("network_log").where("sandbox_id", "=", id).where("seq", "<=", lastSeq).execute();
  const execs = await tx
    .deleteFrom("execs")
    .where("id", "in", (eb) => eb.selectFrom("execs as old").select("old.id").where("old.sandbox_id", "=", id).limit(ROWS))
    .executeTakeFirst();
  return Math.max(log.length, Number(execs.numDeletedRows));
}

/** Tables whose rows belong to a sandbox and go with it. */
const BELONGINGS = ["network_log", "execs", "processes", "sandbox_metadata", "idempotency", "sandbox_secrets", "sandbox_network", "published_ports"] as const; // prettier-ignore

/** Of those in the books only what belonged to them; of the others their rows as well, and their usage once it is added up. */
async function forgetSandboxes(tx: Db, rows: readonly { id: string; booked: boolean }[]): Promise<void> {
  if (rows.length === 0) return;
  for (const table of BELONGINGS) await tx.deleteFrom(table).where("sandbox_id", "in", rows.map(({ id }) => id)).execute(); // prettier-ignore
  const ids = rows.filter(({ booked }) => !booked).map(({ id }) => id);
  if (ids.length === 0) return;
  await summarise(tx, ids);
  await tx.deleteFrom("usage").where("sandbox_id", "in", ids).execute();
  await tx.deleteFrom("sandboxes").where("id", "in", ids).execute();
}

async function retainSandboxes(ledger: Ledger, before: number, signal: AbortSignal): Promise<number> {
  const known = await readMeta(ledger.db, PLACE);
  let after: Place = known === undefined ? { ended_at: 0, id: "" } : (JSON.parse(known) as Place);
  let [count, owing] = [0, false];
  await inBatches(async (size) => {
    // A sandbox takes with it some ten rows beside its own.
    const old = await endedAfter(ledger.db, before, after, Math.max(1, size >> 3));
    const settled = old.filter(({ owed }) => !owed);
    for (const { id } of settled) await inBatches(() => ledger.transaction((tx) => thin(tx, id)).then((rows) => (rows < ROWS ? 0 : rows)), signal); // prettier-ignore
    after = old.at(-1) ?? after;
    // What is owed for is looked at again each night, and with it what ended later.
    owing ||= old.some(({ owed }) => owed);
    const place = JSON.stringify({ ended_at: after.ended_at, id: after.id });
    if (old.length > 0)
      await ledger.transaction(
        async (tx) => {
          await forgetSandboxes(tx, settled);
          if (!owing) await writeMeta(tx, PLACE, place);
        },
        { durable: true },
      );
    count += settled.length;
    return old.length;
  }, signal);
  return count;
}

/**
 * Forgets what ended before the cutoffs, in batches of some milliseconds between which others write. Never anything that lives, or
 * that is owed for; what is in the books keeps its row and its usage there, and of older ones usage is added
 * up by tenant, backend and day as it goes. Safe to end at any moment and to begin again.
 */
export async function retain(ledger: Ledger, before: Cutoffs, signal: AbortSignal): Promise<Forgotten> {
  const done: Forgotten = { events: 0, sandboxes: 0, network_log: 0 };
  await inBatches(async (size) => {
    const count = await ledger.transaction((tx) => forgetEvents(tx, before.events, size));
    done.events += count;
    return count;
  }, signal);
  await inBatches(async (size) => {
    const old = await ledger.db.selectFrom("network_log").select(["sandbox_id", "seq"]).where("at", "<", before.networkLog).orderBy("at").limit(size).execute(); // prettier-ignore
    await ledger.transaction(async (tx) => {
      for (const { sandbox_id, seq } of old) await tx.deleteFrom("network_log").where("sandbox_id", "=", sandbox_id).where("seq", "=", seq).execute(); // prettier-ignore
    });
    done.network_log += old.length;
    return old.length;
  }, signal);
  done.sandboxes = await retainSandboxes(ledger, before.sandboxes, signal);
  return done;
}

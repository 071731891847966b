import type { Db } from "../ledger.ts";
import type { StayRow } from "../schema-money.ts";
import type { UsageRow } from "../schema.ts";

export type NewStay = Omit<
  StayRow,
  "seq" | "settled_at" | "cost" | "precision" | "confirmed" | "meter" | "metered" | "metered_at" | "flagged"
>;

/** Written with the reservation, in the transaction that opens the usage row of the same key. */
export async function insertStay(tx: Db, stay: NewStay): Promise<void> {
  const open = { seq: null, settled_at: null, cost: null, precision: null, confirmed: null, meter: null, metered: null, metered_at: null, flagged: 0 }; // prettier-ignore
  await tx
    .insertInto("stays")
    .values({ ...stay, ...open })
    .execute();
}

/** The stays of a sandbox that are not settled: one at most, unless something is wrong. */
export async function openStays(db: Db, sandboxId: string): Promise<StayRow[]> {
  return db.selectFrom("stays").selectAll().where("sandbox_id", "=", sandboxId).where("settled_at", "is", null).execute();
}

/** Those of a tenant that are not settled. */
export async function openStaysOf(db: Db, tenant: string): Promise<StayRow[]> {
  return db.selectFrom("stays").selectAll().where("tenant", "=", tenant).where("settled_at", "is", null).execute();
}

export async function findUsage(db: Db, sandboxId: string, generation: number): Promise<UsageRow | undefined> {
  return db.selectFrom("usage").selectAll().where("sandbox_id", "=", sandboxId).where("generation", "=", generation).executeTakeFirst();
}

export interface Settlement {
  readonly at: number;
  readonly cost: number | null;
  readonly precision: StayRow["precision"];
  readonly confirmed: boolean;
}

/**
 * Gives the stay its cost and the next number, in the order in which transactions commit: whoever reads on from a number misses none.
 * False where it is settled already.
 */
export async function settleStay(tx: Db, stay: StayRow, { at, cost, precision, confirmed }: Settlement): Promise<boolean> {
  // The sequence's row is held to the commit: on PostgreSQL one settlement waits for the other here.
  const next = await tx
    .updateTable("money_sequence")
    .set((eb) => ({ value: eb("value", "+", 1) }))
    .where("name", "=", "settlement")
    .returning("value")
    .executeTakeFirstOrThrow();
  const result = await tx
    .updateTable("stays")
    .set({ seq: next.value, settled_at: at, cost, precision, confirmed: confirmed ? 1 : 0, meter: "wanted" })
    .where("sandbox_id", "=", stay.sandbox_id)
    .where("generation", "=", stay.generation)
    .where("settled_at", "is", null)
    .executeTakeFirst();
  return Number(result.numUpdatedRows) === 1;
}

/** A stay with what was used in it. */
export type StayWithUsage = StayRow & {
  usage_opened_at: number;
  closed_at: number | null;
  max_life_at: number;
  cpu_milli: number;
  mem_mib: number;
  disk_mib: number;
  creates: number;
  vcpu_seconds: number | null;
  mem_mib_seconds: number | null;
  disk_mib_seconds: number | null;
  egress_bytes_up: number;
} & Pick<UsageRow, "paused_ms" | "suspended_ms" | "rest_since" | "rest_kind">;

function withUsage(db: Db) {
  return db
    .selectFrom("stays")
    .innerJoin("usage", (join) =>
      join.onRef("usage.sandbox_id", "=", "stays.sandbox_id").onRef("usage.generation", "=", "stays.generation"),
    )
    .innerJoin("sandboxes", "sandboxes.id", "stays.sandbox_id")
    .selectAll("stays")
    .select([
      "usage.opened_at as usage_opened_at", "usage.closed_at", "sandboxes.max_life_at", "usage.cpu_milli", "usage.mem_mib", "usage.disk_mib", "usage.creates",
      "usage.vcpu_seconds", "usage.mem_mib_seconds", "usage.disk_mib_seconds", "usage.egress_bytes_up",
      "usage.paused_ms", "usage.suspended_ms", "usage.rest_since", "usage.rest_kind",
    ]); // prettier-ignore
}

/** All stays of these sandboxes. */
export async function staysOf(db: Db, sandboxIds: readonly string[]): Promise<StayWithUsage[]> {
  if (sandboxIds.length === 0) return [];
  return withUsage(db)
    .where("stays.sandbox_id", "in", [...sandboxIds])
    .execute();
}

/** Settled stays after that number, in the order of their settlement. */
export async function settledStays(db: Db, query: { after: number; limit: number; tenant?: string }): Promise<StayWithUsage[]> {
  const page = withUsage(db).where("stays.seq", ">", query.after);
  return (query.tenant === undefined ? page : page.where("stays.tenant", "=", query.tenant))
    .orderBy("stays.seq")
    .limit(query.limit)
    .execute();
}

/** Open stays that these budgets hold something for. */
export async function heldStays(db: Db, hold: { tenant: string; budget: string; period: string }): Promise<StayWithUsage[]> {
  return withUsage(db)
    .innerJoin("budget_holds", (join) =>
      join.onRef("budget_holds.sandbox_id", "=", "stays.sandbox_id").onRef("budget_holds.generation", "=", "stays.generation"),
    )
    .where("budget_holds.tenant", "=", hold.tenant)
    .where("budget_holds.budget", "=", hold.budget)
    .where("budget_holds.period", "=", hold.period)
    .where("budget_holds.cost", "is", null)
    .execute();
}

/** Settled stays of a backend whose own figures are still to be asked for. */
export async function staysToMeter(db: Db, backend: string, limit: number): Promise<StayWithUsage[]> {
  return withUsage(db).where("stays.backend", "=", backend).where("stays.meter", "=", "wanted").orderBy("stays.seq").limit(limit).execute();
}

export async function writeMetered(
  tx: Db,
  stay: Pick<StayRow, "sandbox_id" | "generation">,
  patch: Pick<StayRow, "meter" | "metered" | "metered_at" | "flagged">,
): Promise<void> {
  await tx.updateTable("stays").set(patch).where("sandbox_id", "=", stay.sandbox_id).where("generation", "=", stay.generation).execute();
}

/** Of a backend that does not meter: there is nothing to ask it for. */
export async function forgetMetering(tx: Db, backend: string): Promise<void> {
  await tx.updateTable("stays").set({ meter: null }).where("backend", "=", backend).where("meter", "=", "wanted").execute();
}

export async function flaggedStays(db: Db, query: { tenant?: string; limit: number }): Promise<StayRow[]> {
  const flagged = db.selectFrom("stays").selectAll().where("flagged", "=", 1);
  return (query.tenant === undefined ? flagged : flagged.where("tenant", "=", query.tenant))
    .orderBy("seq", "desc")
    .limit(query.limit)
    .execute();
}

import type { Db, Ledger } from "./ledger.ts";
import type { InstanceRow, NewInstanceRow } from "./schema-fleet.ts";

export async function insertInstance(tx: Db, row: NewInstanceRow): Promise<void> {
  await tx.insertInto("instances").values(row).execute();
}

/** Says that this one is alive for so long, by the ledger's clock; also where others had given it up. */
export async function renewInstance({ db, now }: Ledger, row: NewInstanceRow, ms: number): Promise<void> {
  await db
    .insertInto("instances")
    .values((eb) => ({ ...row, started_at: now, seen_at: now, lease_until: eb(now, "+", ms) }))
    .onConflict((conflict) => conflict.column("id").doUpdateSet((eb) => ({ seen_at: now, lease_until: eb(now, "+", ms) })))
    .execute();
}

/** With how long each lease still holds by the ledger's clock; negative where its time is over. */
export async function listInstances({ db, now }: Ledger): Promise<(InstanceRow & { left_ms: number; age_ms: number })[]> {
  return db
    .selectFrom("instances")
    .selectAll()
    .select((eb) => [eb(eb.ref("lease_until"), "-", now).as("left_ms"), eb(now, "-", eb.ref("started_at")).as("age_ms")])
    .orderBy("id")
    .execute();
}

export async function markSeen(tx: Db, id: string, at: number): Promise<void> {
  await tx.updateTable("instances").set({ seen_at: at }).where("id", "=", id).execute();
}

/** Forgets an instance. What still names it as its owner then belongs to nobody, and the next sweep settles it. */
export async function deleteInstance(tx: Db, id: string): Promise<void> {
  await tx.deleteFrom("instances").where("id", "=", id).execute();
}

import type { Db } from "./ledger.ts";
import type { InstanceRow } from "./schema.ts";

export async function insertInstance(tx: Db, row: InstanceRow): Promise<void> {
  await tx.insertInto("instances").values(row).execute();
}

export async function listInstances(db: Db): Promise<InstanceRow[]> {
  return db.selectFrom("instances").selectAll().execute();
}

export async function markSeen(tx: Db, id: string, at: number): Promise<void> {
  await tx.updateTable("instances").set({ seen_at: at }).where("id", "=", id).execute();
}

/** Forgets an instance. What still names it as its owner then belongs to nobody, and the next sweep settles it. */
export async function deleteInstance(tx: Db, id: string): Promise<void> {
  await tx.deleteFrom("instances").where("id", "=", id).execute();
}

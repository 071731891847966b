import { sql } from "kysely";
import type { Db } from "./ledger.ts";
import type { InventoryTable } from "./schema-inventory.ts";

export async function listInventory(db: Db): Promise<InventoryTable[]> {
  return db.selectFrom("inventory").selectAll().orderBy("added_at").orderBy("name").execute();
}

export async function findInventory(db: Db, name: string): Promise<InventoryTable | undefined> {
  return db.selectFrom("inventory").selectAll().where("name", "=", name).executeTakeFirst();
}

export async function insertInventory(db: Db, row: InventoryTable): Promise<void> {
  await db.insertInto("inventory").values(row).execute();
}

export async function updateInventory(
  db: Db,
  name: string,
  patch: Partial<Pick<InventoryTable, "cpu" | "memory_bytes" | "sandboxes" | "draining">>,
): Promise<void> {
  if (Object.keys(patch).length > 0) await db.updateTable("inventory").set(patch).where("name", "=", name).execute();
}

export async function deleteInventory(db: Db, name: string): Promise<void> {
  await db.deleteFrom("inventory").where("name", "=", name).execute();
}

/** Of sandboxes that have not ended, at each backend that is asked for: how many have the same resources. */
export async function liveResources(db: Db, backends: readonly string[]): Promise<{ backend: string; resources: string; count: number }[]> {
  if (backends.length === 0) return [];
  return db
    .selectFrom("sandboxes")
    .select(["backend", "resources", sql<number>`count(*)`.as("count")])
    .where("ended_at", "is", null)
    .where("backend", "in", [...backends])
    .groupBy(["backend", "resources"])
    .execute();
}

/** Ids of those that have not ended at a backend, oldest first. */
export async function liveAt(db: Db, backend: string): Promise<string[]> {
  const rows = await db.selectFrom("sandboxes").select("id").where("ended_at", "is", null).where("backend", "=", backend).orderBy("id").execute(); // prettier-ignore
  return rows.map(({ id }) => id);
}

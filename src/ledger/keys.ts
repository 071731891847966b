import type { Db } from "./ledger.ts";
import type { KeyRow } from "./schema.ts";

export async function insertKey(tx: Db, row: KeyRow): Promise<void> {
  await tx.insertInto("keys").values(row).execute();
}

export async function findKeyByHash(db: Db, hash: string): Promise<KeyRow | undefined> {
  return db.selectFrom("keys").selectAll().where("hash", "=", hash).executeTakeFirst();
}

export async function findKey(db: Db, id: string): Promise<KeyRow | undefined> {
  return db.selectFrom("keys").selectAll().where("id", "=", id).executeTakeFirst();
}

export async function listKeys(db: Db): Promise<KeyRow[]> {
  return db.selectFrom("keys").selectAll().orderBy("id").execute();
}

export async function updateKey(tx: Db, id: string, patch: Partial<Pick<KeyRow, "revoked_at" | "last_used_at">>): Promise<void> {
  await tx.updateTable("keys").set(patch).where("id", "=", id).execute();
}

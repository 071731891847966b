import type { Db } from "./ledger.ts";
import type { KeyRow } from "./schema-access.ts";

export async function insertKey(tx: Db, row: KeyRow): Promise<void> {
  await tx.insertInto("keys").values(row).execute();
}

/** Whose secret it is now, or was before the last rotation and still works. Says nothing of whether the key is in force. */
export async function findKeyByHash(db: Db, hash: string, now: number): Promise<KeyRow | undefined> {
  const present = await db.selectFrom("keys").selectAll().where("hash", "=", hash).executeTakeFirst();
  if (present !== undefined) return present;
  return db.selectFrom("keys").selectAll().where("old_hash", "=", hash).where("old_until", ">", now).executeTakeFirst();
}

export async function findKey(db: Db, id: string): Promise<KeyRow | undefined> {
  return db.selectFrom("keys").selectAll().where("id", "=", id).executeTakeFirst();
}

export async function listKeys(db: Db): Promise<KeyRow[]> {
  return db.selectFrom("keys").selectAll().orderBy("id").execute();
}

type KeyPatch = Partial<Pick<KeyRow, "revoked_at" | "last_used_at" | "hash" | "expires_at" | "rotated_at" | "old_hash" | "old_until">>;

export async function updateKey(tx: Db, id: string, patch: KeyPatch): Promise<void> {
  await tx.updateTable("keys").set(patch).where("id", "=", id).execute();
}

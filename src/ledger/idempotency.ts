import type { Db } from "./ledger.ts";

export async function findIdempotent(db: Db, tenant: string, key: string): Promise<{ digest: string; sandbox_id: string } | undefined> {
  return db
    .selectFrom("idempotency")
    .select(["digest", "sandbox_id"])
    .where("tenant", "=", tenant)
    .where("key", "=", key)
    .executeTakeFirst();
}

export async function insertIdempotent(
  tx: Db,
  row: { tenant: string; key: string; digest: string; sandbox_id: string; created_at: number },
): Promise<void> {
  await tx.insertInto("idempotency").values(row).execute();
}

/** Frees the key of a create of which nothing is left, so that it can be tried again. */
export async function releaseIdempotent(tx: Db, sandboxId: string): Promise<void> {
  await tx.deleteFrom("idempotency").where("sandbox_id", "=", sandboxId).execute();
}

/** Forgets keys first used before that time. */
export async function pruneIdempotent(tx: Db, before: number): Promise<void> {
  await tx.deleteFrom("idempotency").where("created_at", "<", before).execute();
}

import type { Db } from "./ledger.ts";
import type { PublishedPortRow } from "./schema.ts";

export async function findPublishedPort(db: Db, sandboxId: string, port: number): Promise<PublishedPortRow | undefined> {
  return db.selectFrom("published_ports").selectAll().where("sandbox_id", "=", sandboxId).where("port", "=", port).executeTakeFirst();
}

export async function publishedPortsOf(db: Db, sandboxId: string): Promise<PublishedPortRow[]> {
  return db.selectFrom("published_ports").selectAll().where("sandbox_id", "=", sandboxId).orderBy("port").execute();
}

/** Writes what holds of a port now; its serial grows by one. */
export async function writePublishedPort(tx: Db, row: Omit<PublishedPortRow, "serial">): Promise<PublishedPortRow> {
  const { visibility, generation, expires_at } = row;
  return tx
    .insertInto("published_ports")
    .values({ ...row, serial: 1 })
    .onConflict((at) =>
      at.columns(["sandbox_id", "port"]).doUpdateSet((old) => ({
        visibility,
        generation,
        expires_at,
        serial: old("published_ports.serial", "+", 1),
      })),
    )
    .returningAll()
    .executeTakeFirstOrThrow();
}

/** Marks a one-time address as used. Throws a unique violation where it was used before. */
export async function insertPortGrant(tx: Db, id: string, expiresAt: number): Promise<void> {
  await tx.insertInto("port_grants").values({ id, expires_at: expiresAt }).execute();
}

/** Forgets those that hold no longer for their time. */
export async function forgetPortGrants(tx: Db, before: number): Promise<void> {
  await tx.deleteFrom("port_grants").where("expires_at", "<", before).execute();
}

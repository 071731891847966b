import type { Db } from "./ledger.ts";
import type { ProfileRow } from "./schema.ts";

export async function insertProfile(tx: Db, row: ProfileRow): Promise<void> {
  await tx.insertInto("profiles").values(row).execute();
}

/** From now on it counts as the operator's own. */
export async function vouchForProfile(tx: Db, { tenant, name, version }: Pick<ProfileRow, "tenant" | "name" | "version">): Promise<void> {
  await tx
    .updateTable("profiles")
    .set({ local: 1 })
    .where("tenant", "=", tenant)
    .where("name", "=", name)
    .where("version", "=", version)
    .execute();
}

/** A tenant's own version of that name; the newest where none is asked for. */
export async function findProfile(db: Db, tenant: string, name: string, version?: number): Promise<ProfileRow | undefined> {
  const named = db.selectFrom("profiles").selectAll().where("tenant", "=", tenant).where("name", "=", name);
  return (version === undefined ? named : named.where("version", "=", version)).orderBy("version", "desc").limit(1).executeTakeFirst();
}

export async function listProfiles(db: Db, tenant: string): Promise<ProfileRow[]> {
  return db.selectFrom("profiles").selectAll().where("tenant", "=", tenant).orderBy("name").orderBy("version").execute();
}

import { sql } from "kysely";
import { reachedFrom } from "./hosts.ts";
import type { Db } from "./ledger.ts";
import type { SandboxSecretRow, SecretRow } from "./schema.ts";

/** A tenant's secret of that name, a removed one too. */
export async function findSecret(db: Db, tenant: string, name: string): Promise<SecretRow | undefined> {
  return db.selectFrom("secrets").selectAll().where("tenant", "=", tenant).where("name", "=", name).executeTakeFirst();
}

/** Those that have a value, by name. */
export async function listSecrets(db: Db, tenant: string): Promise<SecretRow[]> {
  return db.selectFrom("secrets").selectAll().where("tenant", "=", tenant).where("removed_at", "is", null).orderBy("name").execute();
}

/** Writes the row over the one before it, value and all. */
export async function putSecret(tx: Db, row: SecretRow): Promise<void> {
  const { tenant: _tenant, name: _name, ...rest } = row;
  await tx
    .insertInto("secrets")
    .values(row)
    .onConflict((conflict) => conflict.columns(["tenant", "name"]).doUpdateSet(rest))
    .execute();
}

/** Writes when it was last used, unless that was after `after`. */
export async function touchSecret(db: Db, tenant: string, name: string, { now, after }: { now: number; after: number }): Promise<void> {
  await db
    .updateTable("secrets")
    .set({ last_used_at: now })
    .where("tenant", "=", tenant)
    .where("name", "=", name)
    .where((eb) => eb.or([eb("last_used_at", "is", null), eb("last_used_at", "<", after)]))
    .execute();
}

/** What a sandbox is bound to: in the transaction that writes its row, before any effect. */
export async function insertSandboxSecrets(tx: Db, rows: readonly SandboxSecretRow[]): Promise<void> {
  if (rows.length > 0) await tx.insertInto("sandbox_secrets").values([...rows]).execute(); // prettier-ignore
}

export async function sandboxSecrets(db: Db, sandboxId: string): Promise<SandboxSecretRow[]> {
  return db.selectFrom("sandbox_secrets").selectAll().where("sandbox_id", "=", sandboxId).orderBy("name").execute();
}

/** Which version of a stored secret the boundary was told; 0 says that it is revoked. */
export async function markDelivered(db: Db, sandboxId: string, name: string, version: number): Promise<void> {
  await db
    .updateTable("sandbox_secrets")
    .set({ delivered: version })
    .where("sandbox_id", "=", sandboxId)
    .where("name", "=", name)
    .execute();
}

/** Live sandboxes of a tenant and the stored secrets that each is bound to. Walks the tenant's live sandboxes, never the ended ones. */
export async function liveBindings(db: Db, tenant: string): Promise<{ sandbox_id: string; secret: string }[]> {
  const rows = await db
    .selectFrom("sandboxes")
    .innerJoin("sandbox_secrets", "sandbox_secrets.sandbox_id", "sandboxes.id")
    .select(["sandboxes.id as sandbox_id", "sandbox_secrets.vault as secret"])
    .where("sandboxes.tenant", "=", tenant)
    .where("sandboxes.ended_at", "is", null)
    .where("sandbox_secrets.vault", "is not", null)
    .execute();
  return rows.map(({ sandbox_id, secret }) => ({ sandbox_id, secret: secret ?? "" }));
}

/** Live sandboxes that host reaches whose boundary was told another version than is stored now; of all, or whether that one is. */
export async function staleSandboxes(db: Db, host: string | null, sandboxId?: string): Promise<string[]> {
  // `exists` and not a join: SQLite would begin with the bindings of everything that has ended.
  let select = db
    .selectFrom("sandboxes")
    .select("id")
    .where("ended_at", "is", null)
    .where(reachedFrom(host))
    .where((live) =>
      live.exists(
        live
          .selectFrom("sandbox_secrets")
          .leftJoin("secrets", (join) =>
            join
              .onRef("secrets.tenant", "=", "sandboxes.tenant")
              .onRef("secrets.name", "=", "sandbox_secrets.vault")
              .on("secrets.removed_at", "is", null),
          )
          .select("sandbox_secrets.name")
          .whereRef("sandbox_secrets.sandbox_id", "=", "sandboxes.id")
          .where("sandbox_secrets.vault", "is not", null)
          .where((eb) =>
            eb.or([
              eb("sandbox_secrets.delivered", "is", null),
              eb("sandbox_secrets.delivered", "<>", sql<number>`coalesce(secrets.version, 0)`),
            ]),
          ),
      ),
    );
  if (sandboxId !== undefined) select = select.where("id", "=", sandboxId);
  return (await select.execute()).map(({ id }) => id);
}

import { sql } from "kysely";
import type { Db } from "./ledger.ts";
import type { ProjectRow, TenantRow } from "./schema-access.ts";

export async function findTenant(db: Db, name: string): Promise<TenantRow | undefined> {
  return db.selectFrom("tenants").selectAll().where("name", "=", name).executeTakeFirst();
}

export async function listTenants(db: Db): Promise<TenantRow[]> {
  return db.selectFrom("tenants").selectAll().orderBy("name").execute();
}

export async function insertTenant(tx: Db, row: TenantRow): Promise<void> {
  await tx.insertInto("tenants").values(row).execute();
}

export async function suspendTenant(tx: Db, name: string, at: number | null): Promise<void> {
  await tx.updateTable("tenants").set({ suspended_at: at }).where("name", "=", name).execute();
}

export async function findProject(db: Db, tenant: string, name: string): Promise<ProjectRow | undefined> {
  return db.selectFrom("projects").selectAll().where("tenant", "=", tenant).where("name", "=", name).executeTakeFirst();
}

/** Of one tenant, or of all. */
export async function listProjects(db: Db, tenant?: string): Promise<ProjectRow[]> {
  const all = db.selectFrom("projects").selectAll().orderBy("tenant").orderBy("name");
  return (tenant === undefined ? all : all.where("tenant", "=", tenant)).execute();
}

export async function insertProject(tx: Db, row: ProjectRow): Promise<void> {
  await tx.insertInto("projects").values(row).execute();
}

export async function deleteProject(tx: Db, tenant: string, name: string): Promise<void> {
  await tx.deleteFrom("projects").where("tenant", "=", tenant).where("name", "=", name).execute();
}

interface Count {
  tenant: string;
  project: string | null;
  count: number;
}

/** Keys that work at a time, by tenant and project. */
export async function countKeys(db: Db, now: number): Promise<Count[]> {
  return db
    .selectFrom("keys")
    .select(["tenant", "project", sql<number>`count(*)`.as("count")])
    .where("revoked_at", "is", null)
    .where((eb) => eb.or([eb("expires_at", "is", null), eb("expires_at", ">", now)]))
    .groupBy(["tenant", "project"])
    .execute();
}

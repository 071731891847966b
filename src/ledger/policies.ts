import type { Db } from "./ledger.ts";
import type { PolicyRow } from "./schema-access.ts";

/** Which version is in force; undefined: there was never one. Read at every request, so that a change holds from the next one on. */
export async function policyHead(db: Db): Promise<Pick<PolicyRow, "version" | "digest" | "rules"> | undefined> {
  return db.selectFrom("policies").select(["version", "digest", "rules"]).orderBy("version", "desc").limit(1).executeTakeFirst();
}

export async function findPolicy(db: Db, version: number): Promise<PolicyRow | undefined> {
  return db.selectFrom("policies").selectAll().where("version", "=", version).executeTakeFirst();
}

/** Newest first. */
export async function listPolicies(db: Db, limit: number): Promise<Omit<PolicyRow, "files">[]> {
  return db
    .selectFrom("policies")
    .select(["version", "digest", "rules", "comment", "applied_at", "applied_by", "restores"])
    .orderBy("version", "desc")
    .limit(limit)
    .execute();
}

export async function insertPolicy(tx: Db, row: PolicyRow): Promise<void> {
  await tx.insertInto("policies").values(row).execute();
}

/** What an operator says of a profile: its version's own labels, or else the name's. */
export async function profileLabels(db: Db, tenant: string, name: string, version: number): Promise<string[]> {
  const rows = await db
    .selectFrom("profile_labels")
    .select(["version", "labels"])
    .where("tenant", "=", tenant)
    .where("name", "=", name)
    .where("version", "in", [0, version])
    .orderBy("version", "desc")
    .execute();
  return JSON.parse(rows[0]?.labels ?? "[]") as string[];
}

/** The same for every profile of a tenant, in one look. */
export async function allProfileLabels(db: Db, tenant: string): Promise<(name: string, version: number) => string[]> {
  const rows = await db.selectFrom("profile_labels").selectAll().where("tenant", "=", tenant).execute();
  const found = new Map(rows.map((row) => [`${row.name}@${row.version}`, JSON.parse(row.labels) as string[]]));
  return (name, version) => found.get(`${name}@${version}`) ?? found.get(`${name}@0`) ?? [];
}

export async function putProfileLabels(
  tx: Db,
  row: { tenant: string; name: string; version: number; labels: readonly string[]; at: number },
): Promise<void> {
  const { tenant, name, version, at } = row;
  const labels = JSON.stringify(row.labels);
  await tx
    .insertInto("profile_labels")
    .values({ tenant, name, version, labels, updated_at: at })
    .onConflict((conflict) => conflict.columns(["tenant", "name", "version"]).doUpdateSet({ labels, updated_at: at }))
    .execute();
}

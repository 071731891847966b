import type { Db } from "./ledger.ts";
import type { SandboxRow } from "./schema.ts";
import type { SnapshotRow } from "./schema-snapshots.ts";

/** The row that stands before anything is copied. */
export async function insertSnapshot(tx: Db, row: SnapshotRow): Promise<void> {
  await tx.insertInto("snapshots").values(row).execute();
}

export async function findSnapshot(db: Db, id: string): Promise<SnapshotRow | undefined> {
  return db.selectFrom("snapshots").selectAll().where("id", "=", id).executeTakeFirst();
}

/** Oldest first. */
export async function listSnapshots(db: Db, owner: { tenant?: string; project?: string | undefined } = {}): Promise<SnapshotRow[]> {
  let select = db.selectFrom("snapshots").selectAll().orderBy("id");
  if (owner.tenant !== undefined) select = select.where("tenant", "=", owner.tenant);
  if (owner.project !== undefined) select = select.where("project", "=", owner.project);
  return select.execute();
}

export async function countSnapshots(db: Db, tenant: string): Promise<number> {
  const { count } = await db.selectFrom("snapshots").select(({ fn }) => fn.countAll<number>().as("count")).where("tenant", "=", tenant).executeTakeFirstOrThrow();
  return count;
} // prettier-ignore

/** False where the row is not as it was seen: somebody else was there first. */
export async function changeSnapshot(tx: Db, seen: Pick<SnapshotRow, "id" | "state" | "owner">, patch: Partial<Omit<SnapshotRow, "id">>): Promise<boolean> {
  let update = tx.updateTable("snapshots").set(patch).where("id", "=", seen.id).where("state", "=", seen.state);
  update = seen.owner === null ? update.where("owner", "is", null) : update.where("owner", "=", seen.owner);
  return (await update.executeTakeFirst()).numUpdatedRows > 0n;
} // prettier-ignore

export async function deleteSnapshot(tx: Db, id: string): Promise<void> {
  await tx.deleteFrom("snapshots").where("id", "=", id).execute();
}

/** Those of a backend, on that host. */
export async function snapshotsAt(db: Db, backend: string, host: string | null): Promise<SnapshotRow[]> {
  const select = db.selectFrom("snapshots").selectAll().where("backend", "=", backend);
  return (host === null ? select.where("host", "is", null) : select.where("host", "=", host)).execute();
}

/** Sandboxes that came from a snapshot or of which one was taken, ended ones too as long as they are kept. */
export async function relatedSandboxes(db: Db, snapshots: readonly SnapshotRow[]): Promise<SandboxRow[]> {
  const ids = snapshots.map(({ id }) => id);
  const sources = snapshots.flatMap(({ sandbox_id: id }) => (id === null ? [] : [id]));
  if (ids.length === 0) return [];
  return db
    .selectFrom("sandboxes")
    .selectAll()
    .where((eb) => eb.or([eb("snapshot", "in", ids), ...(sources.length === 0 ? [] : [eb("id", "in", sources)])]))
    .orderBy("id")
    .execute();
}

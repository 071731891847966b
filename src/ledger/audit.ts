import type { Db } from "./ledger.ts";
import type { AuditRow } from "./schema-hub.ts";

/**
 * The newest row, to which the next one is chained. Must be read in the transaction that appends, and that transaction must be alone
 * against every other writer, as `ledger.transaction` promises: two that chain to the same row would both take its next number, and
 * the second fails on the primary key.
 */
export async function auditHead(tx: Db): Promise<Pick<AuditRow, "seq" | "hash"> | undefined> {
  return tx.selectFrom("audit_log").select(["seq", "hash"]).orderBy("seq", "desc").limit(1).executeTakeFirst();
}

export async function insertAudit(tx: Db, row: AuditRow): Promise<void> {
  await tx.insertInto("audit_log").values(row).execute();
}

/** Rows after `after`, oldest first. */
export async function readAudit(
  db: Db,
  query: { after: number; limit: number; action?: string; actor?: string; target?: string; result?: "ok" | "denied" },
): Promise<AuditRow[]> {
  let select = db.selectFrom("audit_log").selectAll().where("seq", ">", query.after);
  for (const column of ["action", "actor", "target", "result"] as const) {
    const wanted = query[column];
    if (wanted !== undefined) select = select.where(column, "=", wanted);
  }
  return select.orderBy("seq").limit(query.limit).execute();
}

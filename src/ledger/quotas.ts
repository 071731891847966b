import { sql } from "kysely";
import { firstId } from "../contract/index.ts";
import type { Db } from "./ledger.ts";
import type { QuotaRow } from "./schema-access.ts";

/** Whose sandboxes are counted. */
export type Holder =
  | { readonly kind: "tenant"; readonly tenant: string }
  | { readonly kind: "project"; readonly tenant: string; readonly project: string }
  | { readonly kind: "key"; readonly key: string };

export async function findQuotas(db: Db, subjects: readonly string[]): Promise<QuotaRow[]> {
  return db.selectFrom("quotas").selectAll().where("subject", "in", subjects).execute();
}

export async function listQuotas(db: Db): Promise<QuotaRow[]> {
  return db.selectFrom("quotas").selectAll().orderBy("subject").execute();
}

export async function putQuota(tx: Db, row: QuotaRow): Promise<void> {
  const { concurrent, creates_per_minute, updated_at } = row;
  await tx
    .insertInto("quotas")
    .values(row)
    .onConflict((conflict) => conflict.column("subject").doUpdateSet({ concurrent, creates_per_minute, updated_at }))
    .execute();
}

export async function deleteQuota(tx: Db, subject: string): Promise<boolean> {
  const [result] = await tx.deleteFrom("quotas").where("subject", "=", subject).execute();
  return (result?.numDeletedRows ?? 0n) > 0n;
}

function held(db: Db, holder: Holder) {
  const all = db.selectFrom("sandboxes");
  if (holder.kind === "key") return all.where("key_id", "=", holder.key);
  const ofTenant = all.where("tenant", "=", holder.tenant);
  return holder.kind === "tenant" ? ofTenant : ofTenant.where("project", "=", holder.project);
}

/** How many a holder has begun after a time: by their ids, which sort by it, so that earlier ones are not read. */
export async function countBegunSince(db: Db, holder: Holder, since: number): Promise<number> {
  const row = await held(db, holder)
    .select(sql<number>`count(*)`.as("count"))
    .where("id", ">", firstId("sandbox", since))
    .executeTakeFirst();
  return row?.count ?? 0;
}

/** When a holder began its `nth` newest sandbox; undefined: it has not begun so many since then. */
export async function nthNewestBegin(db: Db, holder: Holder, nth: number, since: number): Promise<number | undefined> {
  const row = await held(db, holder)
    .select("created_at")
    .where("id", ">", firstId("sandbox", since))
    .orderBy("id", "desc")
    .offset(nth - 1)
    .limit(1)
    .executeTakeFirst();
  return row?.created_at;
}

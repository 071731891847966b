import { sql } from "kysely";
import type { Db } from "./ledger.ts";
import type { WebhookDeliveryRow, WebhookPatch, WebhookRow } from "./schema-hub.ts";

export async function insertWebhook(tx: Db, row: WebhookRow): Promise<void> {
  await tx.insertInto("webhooks").values(row).execute();
}

/** One that has not been removed. */
export async function findWebhook(db: Db, id: string): Promise<WebhookRow | undefined> {
  return db.selectFrom("webhooks").selectAll().where("id", "=", id).where("removed_at", "is", null).executeTakeFirst();
}

/** Those that have not been removed; of every tenant unless one is given. */
export async function listWebhooks(db: Db, tenant?: string): Promise<WebhookRow[]> {
  const all = db.selectFrom("webhooks").selectAll().where("removed_at", "is", null);
  return (tenant === undefined ? all : all.where("tenant", "=", tenant)).orderBy("id").execute();
}

export async function updateWebhook(tx: Db, id: string, patch: WebhookPatch): Promise<void> {
  await tx.updateTable("webhooks").set(patch).where("id", "=", id).execute();
}

/** Takes or keeps a webhook until `until`; false where another process has it. One statement, so two never both have it. */
export async function leaseWebhook(db: Db, id: string, lease: { by: string; now: number; until: number }): Promise<boolean> {
  const { numUpdatedRows } = await db
    .updateTable("webhooks")
    .set({ leased_by: lease.by, leased_until: lease.until })
    .where("id", "=", id)
    .where("removed_at", "is", null)
    .where("enabled", "=", 1)
    .where((eb) => eb.or([eb("leased_by", "is", null), eb("leased_by", "=", lease.by), eb("leased_until", "<=", lease.now)]))
    .executeTakeFirst();
  return Number(numUpdatedRows) === 1;
}

/** The same as `updateWebhook`, where the lease is still ours and its place is where we began: false says that someone else went on. */
export async function advanceWebhook(tx: Db, id: string, by: string, cursor: number, patch: WebhookPatch): Promise<boolean> {
  const { numUpdatedRows } = await tx
    .updateTable("webhooks")
    .set(patch)
    .where("id", "=", id)
    .where("leased_by", "=", by)
    .where("cursor_seq", "=", cursor)
    .executeTakeFirst();
  return Number(numUpdatedRows) === 1;
}

export async function releaseWebhook(db: Db, id: string, by: string): Promise<void> {
  await db.updateTable("webhooks").set({ leased_by: null, leased_until: null }).where("id", "=", id).where("leased_by", "=", by).execute();
}

/** Writes how the telling of an event stands, over what stood there. */
export async function putDelivery(tx: Db, row: WebhookDeliveryRow): Promise<void> {
  const { webhook_id: _webhook, seq: _seq, ...rest } = row;
  await tx
    .insertInto("webhook_deliveries")
    .values(row)
    .onConflict((conflict) => conflict.columns(["webhook_id", "seq"]).doUpdateSet(rest))
    .execute();
}

/** Forgets delivered ones before that `seq`. */
export async function pruneDeliveries(tx: Db, webhookId: string, before: number): Promise<void> {
  await tx.deleteFrom("webhook_deliveries").where("webhook_id", "=", webhookId).where("state", "=", "delivered").where("seq", "<", before).execute(); // prettier-ignore
}

/** Dead letters to be tried again, oldest first. */
export async function queuedDeliveries(db: Db, webhookId: string, limit: number): Promise<WebhookDeliveryRow[]> {
  return db.selectFrom("webhook_deliveries").selectAll().where("webhook_id", "=", webhookId).where("state", "=", "queued").orderBy("seq").limit(limit).execute(); // prettier-ignore
}

export async function requeueDead(tx: Db, webhookId: string): Promise<number> {
  const { numUpdatedRows } = await tx
    .updateTable("webhook_deliveries")
    .set({ state: "queued", attempts: 0 })
    .where("webhook_id", "=", webhookId)
    .where("state", "=", "dead")
    .executeTakeFirst();
  return Number(numUpdatedRows);
}

/** What a replay from the beginning makes out of date: everything after that `seq`. */
export async function forgetDeliveries(tx: Db, webhookId: string, after: number): Promise<void> {
  await tx.deleteFrom("webhook_deliveries").where("webhook_id", "=", webhookId).where("seq", ">", after).execute();
}

export async function countDead(db: Db, webhookId: string): Promise<number> {
  const row = await db
    .selectFrom("webhook_deliveries")
    .select(sql<number | string>`count(*)`.as("count"))
    .where("webhook_id", "=", webhookId)
    .where("state", "in", ["dead", "queued"])
    .executeTakeFirst();
  return Number(row?.count ?? 0);
}

/** Newest first, with the event that each is about. */
export async function listDeliveries(db: Db, webhookId: string, query: { state?: WebhookDeliveryRow["state"]; limit: number }) {
  let select = db
    .selectFrom("webhook_deliveries")
    .innerJoin("events", "events.seq", "webhook_deliveries.seq")
    .selectAll("webhook_deliveries")
    .select(["events.type", "events.sandbox_id"])
    .where("webhook_id", "=", webhookId);
  if (query.state !== undefined) select = select.where("state", "=", query.state);
  return select.orderBy("webhook_deliveries.seq", "desc").limit(query.limit).execute();
}

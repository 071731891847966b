import type { EventType, LedgerEvent } from "../contract/index.ts";
import type { Db } from "./ledger.ts";
import type { EventRow } from "./schema.ts";

export interface NewEvent {
  /** One of the catalogue, so that no event is written that nobody can look up. */
  type: EventType;
  at: number;
  tenant: string;
  sandboxId: string | null;
  data?: Record<string, unknown>;
}

/** Appends in the transaction that makes the change the event tells of. */
export async function appendEvent(tx: Db, event: NewEvent): Promise<void> {
  await tx
    .insertInto("events")
    .values({ type: event.type, at: event.at, tenant: event.tenant, sandbox_id: event.sandboxId, data: JSON.stringify(event.data ?? {}) })
    .execute();
}

/** Events after `after` in order; `tenant` undefined means every tenant's, `types` every type, `project` those of its sandboxes alone. */
export async function readEvents(
  db: Db,
  query: { tenant?: string; project?: string; sandboxId?: string; types?: readonly EventType[]; after: number; limit: number },
): Promise<LedgerEvent[]> {
  let select = db.selectFrom("events").selectAll().where("seq", ">", query.after);
  if (query.sandboxId !== undefined) select = select.where("sandbox_id", "=", query.sandboxId);
  if (query.tenant !== undefined) select = select.where("tenant", "=", query.tenant);
  if (query.types !== undefined) select = select.where("type", "in", [...query.types]);
  const { project } = query;
  if (project !== undefined)
    select = select.where("sandbox_id", "in", (eb) =>
      eb
        .selectFrom("sandboxes")
        .select("id")
        .where("tenant", "=", query.tenant ?? "")
        .where("project", "=", project),
    );
  const rows = await select.orderBy("seq").limit(query.limit).execute();
  return rows.map(toEvent);
}

/** Those of exactly these `seq`, in order; none for what is no longer kept. */
export async function eventsBySeq(db: Db, seqs: readonly number[]): Promise<LedgerEvent[]> {
  if (seqs.length === 0) return [];
  return (
    await db
      .selectFrom("events")
      .selectAll()
      .where("seq", "in", [...seqs])
      .orderBy("seq")
      .execute()
  ).map(toEvent);
}

/** `seq` of the newest event; 0 where there is none. */
export async function newestEvent(db: Db): Promise<number> {
  const row = await db.selectFrom("events").select("seq").orderBy("seq", "desc").limit(1).executeTakeFirst();
  return row?.seq ?? 0;
}

function toEvent(row: EventRow): LedgerEvent {
  return {
    seq: row.seq,
    type: row.type,
    at: new Date(row.at).toISOString(),
    tenant: row.tenant,
    sandbox_id: row.sandbox_id,
    data: JSON.parse(row.data) as Record<string, unknown>,
  };
}

import { sql } from "kysely";
import type { Ledger } from "./ledger.ts";
import { tableNames } from "./tables.ts";

export interface LedgerStats {
  readonly storage: "sqlite" | "postgres";
  readonly schema: number;
  /** Of the file without its log, or of the database. */
  readonly bytes: number;
  /** Of `bytes`, what is free for new rows. */
  readonly free_bytes: number;
  readonly live: number;
  /** When the oldest event that is kept was written, epoch milliseconds. */
  readonly oldest_event_at: number | null;
  readonly tables: readonly { readonly name: string; readonly rows: number }[];
}

/** Counts every row: a second for some millions. */
export async function ledgerStats(ledger: Ledger): Promise<LedgerStats> {
  const one = async (query: string) => {
    const { rows } = await sql<Record<string, number | null>>`${sql.raw(query)}`.execute(ledger.db);
    return Number.parseFloat(String(Object.values(rows[0] ?? {})[0] ?? 0));
  };
  const tables: { name: string; rows: number }[] = [];
  for (const name of await tableNames(ledger)) {
    const { rows } = await sql<{ count: number }>`select count(*) as count from ${sql.table(name)}`.execute(ledger.db);
    tables.push({ name, rows: rows[0]?.count ?? 0 });
  }
  const pageSize = ledger.shared ? 0 : await one("pragma page_size");
  const oldest = await ledger.db.selectFrom("events").select("at").orderBy("seq").limit(1).executeTakeFirst();
  return {
    storage: ledger.shared ? "postgres" : "sqlite",
    schema: await one("select value from meta where key = 'schema_version'"),
    bytes: ledger.shared ? await one("select pg_database_size(current_database())") : pageSize * (await one("pragma page_count")),
    free_bytes: ledger.shared ? 0 : pageSize * (await one("pragma freelist_count")),
    live: await one("select count(*) from sandboxes where ended_at is null"),
    oldest_event_at: oldest?.at ?? null,
    tables: tables.sort((a, b) => b.rows - a.rows),
  };
}

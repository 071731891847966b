import { sql } from "kysely";
import type { Ledger } from "./ledger.ts";

/** Rows read at once. */
const PAGE = 500;

export type AnyRow = Readonly<Record<string, unknown>>;

/** Names of the ledger's tables: of a file in the order in which they were made, so that none comes before what it refers to. */
export async function tableNames(ledger: Ledger): Promise<string[]> {
  const names = ledger.shared
    ? sql<{ name: string }>`select tablename as name from pg_tables where schemaname = current_schema() order by tablename`
    : sql<{ name: string }>`select name from sqlite_schema where type = 'table' and name not like 'sqlite%' order by rowid`;
  return (await names.execute(ledger.db)).rows.map(({ name }) => name);
}

/** Rows of a file's table, some at a time, in the order in which they were written. */
export async function* fileRows(ledger: Ledger, table: string, size: number): AsyncGenerator<AnyRow[]> {
  for (let after = 0; ;) {
    const page = await sql<AnyRow & { rowid_: number }>`
      select rowid as rowid_, * from ${sql.table(table)} where rowid > ${after} order by rowid limit ${size}`.execute(ledger.db);
    const last = page.rows.at(-1);
    if (last === undefined) return;
    yield page.rows.map((row) => Object.fromEntries(Object.entries(row).filter(([name]) => name !== "rowid_")));
    after = last.rowid_;
  }
}

/** All rows of a table of PostgreSQL, some at a time, in one transaction's view. */
export async function* cursorRows(tx: Ledger["db"], table: string, size: number): AsyncGenerator<AnyRow[]> {
  await sql`declare every_row no scroll cursor for select * from ${sql.table(table)}`.execute(tx);
  for (;;) {
    const { rows } = await sql<AnyRow>`fetch ${sql.raw(String(size))} from every_row`.execute(tx);
    if (rows.length === 0) break;
    yield rows;
  }
  await sql`close every_row`.execute(tx);
}

/** Calls with all rows of a table, some at a time, wherever the ledger is. Others go on writing. */
export async function everyRow(ledger: Ledger, table: string, visit: (rows: readonly AnyRow[]) => Promise<void>): Promise<void> {
  if (!ledger.shared) {
    for await (const rows of fileRows(ledger, table, PAGE)) await visit(rows);
    return;
  }
  await ledger.db.connection().execute(async (connection) => {
    await sql`begin transaction isolation level repeatable read read only`.execute(connection);
    try {
      for await (const rows of cursorRows(connection, table, PAGE)) await visit(rows);
    } finally {
      await sql`commit`.execute(connection);
    }
  });
}

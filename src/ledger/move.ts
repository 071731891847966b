import { createHash } from "node:crypto";
import { sql } from "kysely";
import { SandboxerError } from "../contract/index.ts";
import type { Db, Ledger } from "./ledger.ts";
import { FLEET_ID } from "./meta.ts";
import { type AnyRow, cursorRows, fileRows, tableNames } from "./tables.ts";

/** Rows of one insert: PostgreSQL takes 65,535 values in a statement. */
const ROWS = 500;

/** What belongs to processes that run, or to the file itself. */
const NOT_MOVED = new Set(["instances", "leases", "hosts"]);
const META_NOT_MOVED = new Set(["schema_version", "clock", "health", FLEET_ID]);

export interface Moved {
  readonly table: string;
  readonly rows: number;
  /** Of all its rows in any order, the same on both sides. */
  readonly digest: string;
}

/** A sum of the rows' hashes: the order, which the two databases do not share, makes no difference, and a row more or less does. */
class Digest {
  #sum = 0n;
  rows = 0;

  add(row: AnyRow): void {
    const text = JSON.stringify(Object.entries(row).sort(([a], [b]) => (a < b ? -1 : 1)));
    this.#sum = (this.#sum + BigInt(`0x${createHash("sha256").update(text).digest("hex")}`)) % (1n << 256n);
    this.rows++;
  }

  get hex(): string {
    return this.#sum.toString(16).padStart(64, "0");
  }
}

async function copyTable(from: Ledger, tx: Db, table: string): Promise<Moved> {
  const [sent, arrived] = [new Digest(), new Digest()];
  for await (const page of fileRows(from, table, ROWS)) {
    const rows = table === "meta" ? page.filter(({ key }) => !META_NOT_MOVED.has(String(key))) : page;
    if (rows.length === 0) continue;
    for (const row of rows) sent.add(row);
    await tx.insertInto(table as "meta").values(rows as never).execute(); // prettier-ignore
  }
  for await (const rows of cursorRows(tx, table, ROWS))
    for (const row of rows) if (table !== "meta" || !META_NOT_MOVED.has(String(row["key"]))) arrived.add(row);
  if (sent.rows !== arrived.rows || sent.hex !== arrived.hex)
    throw new SandboxerError("internal", `table ${table}: ${sent.rows} rows were sent and ${arrived.rows} arrived, or not as they were`, {
      phase: "move",
    });
  return { table, rows: sent.rows, digest: sent.hex };
}

/** Any use of a ledger leaves a row in one of these. */
const USED = ["events", "sandboxes", "keys", "profiles", "secrets", "money_entries", "policies", "webhooks", "audit_log"] as const;

/** What the migrations themselves put into an unused ledger gives way to the file's own. */
async function makeRoom(tx: Db, tables: readonly string[]): Promise<void> {
  for (const table of USED) {
    const { rows } = await sql`select 1 from ${sql.table(table)} limit 1`.execute(tx);
    if (rows.length > 0)
      throw new SandboxerError("conflict", `the database has rows in ${table} already`, {
        phase: "move",
        hint: "Move into an empty database.",
      });
  }
  for (const table of tables.toReversed())
    if (!NOT_MOVED.has(table) && table !== "meta") await sql`delete from ${sql.table(table)}`.execute(tx);
}

/** What counts up goes on behind what was moved. */
async function continueCounting(tx: Db): Promise<void> {
  const { rows } = await sql<{ table: string; column: string }>`
    select table_name as "table", column_name as "column" from information_schema.columns
    where table_schema = current_schema() and is_identity = 'YES'`.execute(tx);
  for (const { table, column } of rows)
    await sql`select setval(pg_get_serial_sequence(${table}, ${column}), greatest(max(${sql.ref(column)}), 1), max(${sql.ref(column)}) is not null)
      from ${sql.table(table)}`.execute(tx);
}

/**
 * Copies a whole file into an empty PostgreSQL in one transaction, and reads every row back before it commits: all or nothing. `label`
 * is what the file's sandboxes are labelled with at their backends, and `local` names the backends of this host.
 *
 * @throws SandboxerError `conflict` for a database that is not empty, `internal` where what arrived is not what was sent.
 */
export async function moveLedger(
  from: Ledger,
  to: Ledger,
  { label, local }: { label: string; local: readonly string[] },
): Promise<Moved[]> {
  const tables = await tableNames(from);
  return to.transaction(
    async (tx) => {
      await makeRoom(tx, tables);
      const moved: Moved[] = [];
      for (const table of tables) if (!NOT_MOVED.has(table)) moved.push(await copyTable(from, tx, table));
      await continueCounting(tx);
      await tx.deleteFrom("meta").where("key", "=", FLEET_ID).execute();
      await tx.insertInto("meta").values({ key: FLEET_ID, value: label }).execute();
      if (local.length > 0)
        await tx.updateTable("sandboxes").set({ host: label }).where("ended_at", "is", null).where("backend", "in", local).execute();
      return moved;
    },
    { durable: true },
  );
}

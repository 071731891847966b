import { promises as timers } from "node:timers";
import { sql } from "kysely";
import type { Ledger } from "./ledger.ts";

/** Pages given back in one step: some milliseconds. */
const PAGES = 256;

async function pragma(ledger: Ledger, name: string): Promise<number> {
  const { rows } = await sql<Record<string, number>>`pragma ${sql.raw(name)}`.execute(ledger.db);
  return Object.values(rows[0] ?? {})[0] ?? 0;
}

/**
 * Gives the free pages of the file back to the disk, in steps between which others write, moves the log into the file, and renews
 * what the planner knows. A file that was made without incremental vacuum keeps its free pages, and uses them again. PostgreSQL does
 * all this by itself. Answers how many bytes the file has lost.
 */
export async function compact(ledger: Ledger, signal: AbortSignal): Promise<number> {
  if (ledger.shared) return 0;
  const pageSize = await pragma(ledger, "page_size");
  const before = await pragma(ledger, "page_count");
  if ((await pragma(ledger, "auto_vacuum")) === 2)
    for (let free = await pragma(ledger, "freelist_count"); free > 0;) {
      signal.throwIfAborted();
      await sql`pragma incremental_vacuum(${sql.raw(String(PAGES))})`.execute(ledger.db);
      const left = await pragma(ledger, "freelist_count");
      if (left >= free) break;
      free = left;
      await timers.setTimeout(5, undefined, { signal });
    }
  await sql`pragma optimize`.execute(ledger.db);
  await sql`pragma wal_checkpoint(passive)`.execute(ledger.db);
  return (before - (await pragma(ledger, "page_count"))) * pageSize;
}

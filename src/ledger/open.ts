import { type Ledger, openSqliteLedger } from "./ledger.ts";
import { openPostgresLedger } from "./postgres/ledger.ts";

/**
 * The ledger in PostgreSQL where there is an address (`postgres://...`), else in `ledger.db` of the data directory. The file is
 * open at once; a database is connected by the first use, or by `ready()`.
 */
export function openLedger(dataDirectory: string, address?: string): Ledger {
  return address === undefined ? openSqliteLedger(dataDirectory) : openPostgresLedger(address);
}

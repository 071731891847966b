import { Kysely, sql } from "kysely";
import type { Pool } from "pg";
import { SandboxerError } from "../../contract/index.ts";
import type { Db, Ledger } from "../ledger.ts";
import type { Tables } from "../schema.ts";
import { openPool, withoutPassword } from "./connect.ts";
import { postgresDialect } from "./dialect.ts";
import { fromPostgres } from "./errors.ts";
import { CHANNEL, listen } from "./listen.ts";
import { migratePostgres } from "./migrate.ts";

const NOTIFY = `select pg_notify('${CHANNEL}', '')`;

/**
 * The ledger in a PostgreSQL database that several control planes share. Nothing is connected before the first use, or
 * `ready()`; then the schema is brought up to date. After the server was away the next call connects anew.
 */
export function openPostgresLedger(address: string | (() => Promise<string>)): Ledger {
  let readOnly: string | null = null;
  let opening: Promise<{ pool: Pool; url: string }> | null = null;
  const listeners = new Set<() => void>();
  const tell = () => {
    for (const listener of listeners) listener();
  };
  let stopListening: Promise<() => Promise<void>> | null = null;

  const open = async () => {
    const url = typeof address === "string" ? address : await address();
    const pool = await openPool(url);
    try {
      const client = await pool.connect();
      try {
        const { rows } = await client.query<{ readonly: string; standby: boolean }>(
          "select current_setting('transaction_read_only') as readonly, pg_is_in_recovery() as standby",
        );
        if (rows[0]?.readonly === "on") readOnly = `the ledger's PostgreSQL is read-only${rows[0].standby ? ": a standby" : ""}`;
        else await migratePostgres(client);
      } finally {
        client.release();
      }
      return { pool, url };
    } catch (thrown) {
      await pool.end();
      throw fromPostgres(thrown, "open").with({ hint: `Check ${withoutPassword(url)} with psql from this host.` });
    }
  };
  const opened = () => {
    opening ??= open().catch((thrown: unknown) => {
      opening = null;
      throw thrown;
    });
    return opening;
  };
  const pool = async () => (await opened()).pool;
  const db = new Kysely<Tables>({ dialect: postgresDialect(pool, { atCommit: NOTIFY }) });
  // Only one can hold the lock: the others of this process wait here, and leave the connections to readers.
  let last: Promise<unknown> = Promise.resolve();

  return {
    db,
    shared: true,
    now: sql<number>`floor(extract(epoch from clock_timestamp()) * 1000)::bigint`,
    get readOnly() {
      return readOnly;
    },
    ready: async () => void (await opened()),
    async transaction<T>(work: (tx: Db) => Promise<T>): Promise<T> {
      await opened();
      if (readOnly !== null) throw new SandboxerError("storage_unavailable", readOnly, { phase: "ledger" });
      const run = () => db.transaction().execute(work);
      const mine = last.then(run, run);
      last = mine.catch(() => undefined);
      const result = await mine;
      tell();
      return result;
    },
    onEvents(listener) {
      listeners.add(listener);
      stopListening ??= opened().then(
        ({ url }) => listen(url, tell),
        () => {
          stopListening = null;
          return async () => {};
        },
      );
      return () => listeners.delete(listener);
    },
    async close() {
      await (
        await stopListening
      )?.();
      const open = await opening?.catch(() => null);
      await db.destroy();
      await open?.pool.end();
    },
  };
}

import { join } from "node:path";
import { Kysely, type RawBuilder, sql } from "kysely";
import { SandboxerError } from "../contract/index.ts";
import { nodeSqliteDialect } from "./dialect.ts";
import { openFile } from "./file.ts";
import type { Tables } from "./schema.ts";

/** What a ledger function runs on: the ledger itself, or a transaction of it. */
export type Db = Kysely<Tables>;

/** The append-only record of what happened and the tables that say how things stand. One per process. */
export interface Ledger {
  /** For single statements outside a transaction. Inside one, use only what the transaction was given: this would wait for it. */
  readonly db: Db;
  /** Why nothing can be written, or null. On PostgreSQL known once it is ready. */
  readonly readOnly: string | null;
  /** Whether control planes of several hosts may have it open: then its own clock counts, and not theirs. */
  readonly shared: boolean;
  /** The time by the ledger's own clock, epoch milliseconds, for use in a statement. */
  readonly now: RawBuilder<number>;
  /**
   * Connects, and brings the schema up to date; a file is ready as it is opened.
   *
   * @throws SandboxerError `storage_unavailable` for what cannot be reached, is not a ledger, or is too new, with what to do.
   */
  ready(): Promise<void>;
  /**
   * All or nothing, alone against every other writer of any process. Survives `kill -9` in any case; with `durable` also
   * a power cut of the ledger's host, at the cost of an fsync: for what stands before an effect outside this host, or is money. In
   * PostgreSQL every one does.
   * What it wrote can be seen before the next one begins: who reads events by `seq` misses none that comes later.
   *
   * @throws SandboxerError `storage_unavailable` where it could not be written; nothing of it then is.
   */
  transaction<T>(work: (tx: Db) => Promise<T>, options?: { durable?: boolean }): Promise<T>;
  /** Calls back after each transaction: of this process, and of every other one where the ledger is shared. Returns the way to stop. */
  onEvents(listener: () => void): () => void;
  close(): Promise<void>;
}

/** Opens `ledger.db` in the data directory. See {@link openFile} for what it refuses. */
export function openSqliteLedger(dataDirectory: string): Ledger {
  const { database, readOnly } = openFile(join(dataDirectory, "ledger.db"));
  const db = new Kysely<Tables>({ dialect: nodeSqliteDialect(database) });
  const listeners = new Set<() => void>();
  return {
    db,
    readOnly,
    shared: false,
    now: sql<number>`cast(unixepoch('subsec') * 1000 as integer)`,
    ready: async () => {},
    async transaction(work, { durable = false } = {}) {
      if (readOnly !== null) throw new SandboxerError("storage_unavailable", readOnly, { phase: "ledger" });
      const run = (on: Db) => on.transaction().execute(work);
      const result = durable ? await durably(db, run) : await run(db);
      for (const listener of listeners) listener();
      return result;
    },
    onEvents(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    close: () => db.destroy(),
  };
}

/** A commit under `synchronous = full` fsyncs the log, and with it everything committed before. */
function durably<T>(db: Db, run: (on: Db) => Promise<T>): Promise<T> {
  return db.connection().execute(async (connection) => {
    await sql`pragma synchronous = full`.execute(connection);
    try {
      return await run(connection);
    } finally {
      await sql`pragma synchronous = normal`.execute(connection);
    }
  });
}

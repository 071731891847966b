import {
  type CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
  type QueryResult,
} from "kysely";
import type { Pool, PoolClient } from "pg";
import { fromPostgres } from "./errors.ts";

/** Whoever writes holds this advisory lock until its commit can be seen: "SBX1", 1. */
export const WRITE_LOCK = "1396856881, 1";

/** How long a writer waits for the others. */
const BUSY = "10s";

const WRITES = new Set(["InsertQueryNode", "UpdateQueryNode", "DeleteQueryNode"]);

/** PostgreSQL's text cannot hold U+0000; what came with one is kept with U+FFFD in its place, and found by the same. */
function withoutNul(value: unknown): unknown {
  return typeof value === "string" && value.includes("\0") ? value.replaceAll("\0", "\uFFFD") : value;
}

class PostgresConnection implements DatabaseConnection {
  readonly client: PoolClient;
  inTransaction = false;

  constructor(client: PoolClient) {
    this.client = client;
  }

  async executeQuery<Row>(query: CompiledQuery): Promise<QueryResult<Row>> {
    if (this.inTransaction || !WRITES.has(query.query.kind)) return this.run<Row>(query);
    // Bookkeeping in a single statement: written between two transactions, never inside another one's.
    await this.begin();
    try {
      const result = await this.run<Row>(query);
      await this.simple("commit");
      this.inTransaction = false;
      return result;
    } catch (thrown) {
      await this.rollback();
      throw thrown;
    }
  }

  async run<Row>(query: CompiledQuery): Promise<QueryResult<Row>> {
    try {
      const { rows, rowCount, command } = await this.client.query(query.sql, query.parameters.map(withoutNul));
      return command === "SELECT" ? { rows: rows as Row[] } : { rows: rows as Row[], numAffectedRows: BigInt(rowCount ?? 0) };
    } catch (thrown) {
      throw fromPostgres(thrown);
    }
  }

  async simple(sql: string): Promise<void> {
    try {
      await this.client.query(sql);
    } catch (thrown) {
      throw fromPostgres(thrown);
    }
  }

  /**
   * One round trip: the lock is held before anything is read, so that what is read cannot change before its write. Its commit is on disk
   * when it is answered, whatever the server's own setting is: a crash of PostgreSQL ends no sandbox, and must not forget one.
   */
  async begin(): Promise<void> {
    const settings = `set local synchronous_commit = on; set local lock_timeout = '${BUSY}'`;
    try {
      await this.simple(`begin; ${settings}; select pg_advisory_xact_lock(${WRITE_LOCK})`);
    } catch (thrown) {
      await this.rollback();
      throw thrown;
    }
    this.inTransaction = true;
  }

  /** Never throws: where the connection is gone, so is the transaction, and the first error is what is told. */
  async rollback(): Promise<void> {
    this.inTransaction = false;
    await this.client.query("rollback").catch(() => undefined);
  }

  // oxlint-disable-next-line require-yield
  async *streamQuery<Row>(query: CompiledQuery): AsyncIterableIterator<QueryResult<Row>> {
    yield await this.run<Row>(query);
  }
}

class PostgresDriver implements Driver {
  readonly #pool: () => Promise<Pool>;
  readonly #atCommit: string;

  constructor(pool: () => Promise<Pool>, atCommit: string) {
    this.#pool = pool;
    this.#atCommit = atCommit;
  }

  async init(): Promise<void> {}

  async acquireConnection(): Promise<PostgresConnection> {
    const pool = await this.#pool();
    try {
      return new PostgresConnection(await pool.connect());
    } catch (thrown) {
      throw fromPostgres(thrown);
    }
  }

  async releaseConnection(connection: PostgresConnection): Promise<void> {
    connection.client.release();
  }

  beginTransaction(connection: PostgresConnection): Promise<void> {
    return connection.begin();
  }

  async commitTransaction(connection: PostgresConnection): Promise<void> {
    await connection.simple(`${this.#atCommit}; commit`);
    connection.inTransaction = false;
  }

  rollbackTransaction(connection: PostgresConnection): Promise<void> {
    return connection.rollback();
  }

  /** The pool is its maker's to end. */
  async destroy(): Promise<void> {}
}

/**
 * kysely over `pg`. A transaction is alone against every other writer of the database, and what it wrote can be seen before the
 * next one begins. `atCommit` is one statement that runs last in it.
 */
export function postgresDialect(pool: () => Promise<Pool>, { atCommit }: { atCommit: string }): Dialect {
  return {
    createDriver: () => new PostgresDriver(pool, atCommit),
    createQueryCompiler: () => new PostgresQueryCompiler(),
    createAdapter: () => new PostgresAdapter(),
    createIntrospector: (db) => new PostgresIntrospector(db),
  };
}

import type { DatabaseSync, SQLInputValue, StatementSync } from "node:sqlite";
import {
  type CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  type QueryResult,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from "kysely";
import { promises as timers } from "node:timers";
import { isBusy, toLedgerError } from "./storage-error.ts";

/** Statements kept prepared; the hot path uses some forty. */
const MAX_PREPARED = 256;

/** How long a statement waits for another process's transaction, without blocking this one's event loop. */
const BUSY_MS = 10_000;

interface Prepared {
  readonly statement: StatementSync;
  readonly returnsRows: boolean;
}

/** One SQLite connection. Queries run synchronously; a statement is prepared once for each SQL text. */
class NodeSqliteConnection implements DatabaseConnection {
  readonly #database: DatabaseSync;
  readonly #prepared = new Map<string, Prepared>();

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  async executeQuery<Row>(query: CompiledQuery): Promise<QueryResult<Row>> {
    return this.runPatiently<Row>(query.sql, query.parameters);
  }

  /** The same as `run`, and tries again while another process has the write lock. */
  async runPatiently<Row>(sql: string, parameters: readonly unknown[] = []): Promise<QueryResult<Row>> {
    for (let began: number | undefined; ;) {
      try {
        return this.run<Row>(sql, parameters);
      } catch (thrown) {
        began ??= performance.now();
        if (!isBusy(thrown) || this.#database.isTransaction || performance.now() - began > BUSY_MS) throw thrown;
        await timers.setTimeout(1 + Math.random() * 4);
      }
    }
  }

  run<Row>(sql: string, parameters: readonly unknown[] = []): QueryResult<Row> {
    try {
      const { statement, returnsRows } = this.#prepare(sql);
      const values = parameters as readonly SQLInputValue[];
      if (returnsRows) return { rows: statement.all(...values) as Row[] };
      const { changes } = statement.run(...values);
      return { rows: [], numAffectedRows: BigInt(changes) };
    } catch (thrown) {
      throw toLedgerError(thrown);
    }
  }

  async *streamQuery<Row>(query: CompiledQuery): AsyncIterableIterator<QueryResult<Row>> {
    yield this.run<Row>(query.sql, query.parameters);
  }

  #prepare(sql: string): Prepared {
    const known = this.#prepared.get(sql);
    if (known !== undefined) return known;
    const statement = this.#database.prepare(sql);
    const prepared = { statement, returnsRows: statement.columns().length > 0 };
    const oldest = this.#prepared.size >= MAX_PREPARED ? this.#prepared.keys().next().value : undefined;
    if (oldest !== undefined) this.#prepared.delete(oldest);
    this.#prepared.set(sql, prepared);
    return prepared;
  }
}

/** Lends the one connection to one holder at a time, in the order they asked: a transaction is never interleaved. */
class NodeSqliteDriver implements Driver {
  readonly #connection: NodeSqliteConnection;
  readonly #database: DatabaseSync;
  #held = false;
  readonly #waiting: (() => void)[] = [];

  constructor(database: DatabaseSync) {
    this.#database = database;
    this.#connection = new NodeSqliteConnection(database);
  }

  async init(): Promise<void> {}

  async acquireConnection(): Promise<NodeSqliteConnection> {
    if (this.#held) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#held = true;
    return this.#connection;
  }

  async releaseConnection(): Promise<void> {
    const next = this.#waiting.shift();
    // Handed over without letting go, so that nobody steps in between.
    if (next === undefined) this.#held = false;
    else next();
  }

  async beginTransaction(connection: NodeSqliteConnection): Promise<void> {
    // Immediate: takes the write lock at once, so that what is read in it cannot change before its write.
    await connection.runPatiently("begin immediate");
  }

  async commitTransaction(connection: NodeSqliteConnection): Promise<void> {
    connection.run("commit");
  }

  async rollbackTransaction(connection: NodeSqliteConnection): Promise<void> {
    // A full disk or a failed commit may have rolled back already; a second rollback would hide the first error.
    if (this.#database.isTransaction) connection.run("rollback");
  }

  async destroy(): Promise<void> {
    if (this.#database.isOpen) this.#database.close();
  }
}

/** kysely over `node:sqlite`. The database is opened and closed by the caller's driver: `destroy()` closes it. */
export function nodeSqliteDialect(database: DatabaseSync): Dialect {
  return {
    createDriver: () => new NodeSqliteDriver(database),
    createQueryCompiler: () => new SqliteQueryCompiler(),
    createAdapter: () => new SqliteAdapter(),
    createIntrospector: (db) => new SqliteIntrospector(db),
  };
}

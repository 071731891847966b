import type { DatabaseSync } from "node:sqlite";
import { MIGRATIONS } from "./migrations/index.ts";

/** Says "this file is a sand-boxer ledger" in SQLite's header: "SBX1". */
const APPLICATION_ID = 0x53425831;

/** How many migrations the file has seen; null where it is not ours. */
export function readVersion(database: DatabaseSync): number | null {
  const id = database.prepare("pragma application_id").get() as { application_id: number };
  if (id.application_id !== APPLICATION_ID) return null;
  const row = database.prepare("select value from meta where key = 'schema_version'").get() as { value: string } | undefined;
  return row === undefined ? null : Number(row.value);
}

/** Runs what is missing, all or nothing. Two processes at once: the second waits, and finds nothing to do. */
export function applyMigrations(database: DatabaseSync): void {
  if (readVersion(database) === MIGRATIONS.length) return;
  database.exec("begin immediate");
  try {
    const version = readVersion(database) ?? 0;
    for (const migration of MIGRATIONS.slice(version)) {
      for (const statement of migration.statements) database.exec(statement);
    }
    database.exec(`pragma application_id = ${APPLICATION_ID}`);
    database
      .prepare("insert into meta (key, value) values ('schema_version', ?) on conflict (key) do update set value = excluded.value")
      .run(String(MIGRATIONS.length));
    database.exec("commit");
  } catch (thrown) {
    if (database.isTransaction) database.exec("rollback");
    throw thrown;
  }
}

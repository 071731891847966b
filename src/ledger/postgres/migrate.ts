import type { PoolClient } from "pg";
import { SandboxerError } from "../../contract/index.ts";
import { MIGRATIONS } from "../migrations/index.ts";
import { WRITE_LOCK } from "./dialect.ts";
import { forPostgres } from "./schema-sql.ts";

/** How many migrations the database has seen; 0 where it has no tables of ours. */
async function readVersion(client: PoolClient): Promise<number> {
  const { rows } = await client.query<{ ours: string | null; other: string }>(
    `select to_regclass('meta')::text as ours, (select count(*) from pg_tables where schemaname = current_schema())::text as other`,
  );
  if ((rows[0]?.ours ?? null) === null) {
    if (Number(rows[0]?.other) === 0) return 0;
    throw new SandboxerError("storage_unavailable", "the ledger's database has tables, and they are not sand-boxer's", {
      phase: "open",
      hint: "Give sand-boxer a database (or a schema by search_path) of its own.",
    });
  }
  const version = await client.query<{ value: string }>("select value from meta where key = 'schema_version'");
  return Number(version.rows[0]?.value ?? 0);
}

/**
 * Runs what is missing, all or nothing, alone: of two control planes the second waits, and finds nothing to do.
 *
 * @throws SandboxerError `storage_unavailable` for a schema that is newer than this sand-boxer, or somebody else's.
 */
export async function migratePostgres(client: PoolClient): Promise<void> {
  const known = await readVersion(client);
  if (known === MIGRATIONS.length) return;
  if (known > MIGRATIONS.length)
    throw new SandboxerError(
      "storage_unavailable",
      `the ledger's database has schema ${known}, and this sand-boxer knows up to ${MIGRATIONS.length}`,
      { phase: "open", hint: "Run the newer sand-boxer that wrote it, or restore an older backup." },
    );
  await client.query(`begin; select pg_advisory_xact_lock(${WRITE_LOCK})`);
  try {
    for (const migration of MIGRATIONS.slice(await readVersion(client)))
      for (const statement of migration.statements) await client.query(forPostgres(statement));
    await client.query(
      "insert into meta (key, value) values ('schema_version', $1) on conflict (key) do update set value = excluded.value",
      [String(MIGRATIONS.length)],
    );
    await client.query("commit");
  } catch (thrown) {
    await client.query("rollback").catch(() => undefined);
    throw thrown;
  }
}

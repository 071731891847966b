/** The composition root of what looks after the ledger itself, beside any server or without one. */
import { renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { dataDirectory } from "./cli/data-directory.ts";
import { ledgerAddress, makeDataDirectory, readConfig } from "./configuration.ts";
import { type Config, LedgerAddress, parse, SandboxerError } from "./contract/index.ts";
import { dataDirectoryId } from "./engine/data-directory.ts";
import { runningInstances } from "./engine/instances.ts";
import { houseKeeping } from "./engine/retention.ts";
import { backendsOnThisHost } from "./main.ts";
import { backupLedger, everyRow, type Forgotten, type Ledger, ledgerStats, type LedgerStats, type Moved, moveLedger, openLedger, tableNames } from "./ledger/index.ts"; // prettier-ignore

interface Open {
  readonly ledger: Ledger;
  readonly config: Config;
  readonly dataDir: string;
}

async function withLedger<T>(work: (open: Open) => Promise<T>): Promise<T> {
  const dataDir = dataDirectory();
  makeDataDirectory(dataDir);
  const config = readConfig(dataDir);
  const ledger = openLedger(dataDir, ledgerAddress(config));
  try {
    await ledger.ready();
    return await work({ ledger, config, dataDir });
  } finally {
    await ledger.close();
  }
}

/** Sizes and counts. Reads only. */
export function stats(): Promise<LedgerStats> {
  return withLedger(({ ledger }) => ledgerStats(ledger));
}

/** What is done each night, now. Others go on writing. */
export function compactNow(signal: AbortSignal): Promise<{ forgotten: Forgotten; bytes: number }> {
  return withLedger(({ ledger, config }) => houseKeeping(ledger, config, Date.now(), signal));
}

/** Copies the file as it stands to `to`. Throws `capability_unsupported` for PostgreSQL, with what to run there. */
export async function backupTo(to: string): Promise<{ file: string; bytes: number }> {
  const dataDir = dataDirectory();
  if (ledgerAddress(readConfig(dataDir)) !== undefined)
    throw new SandboxerError("capability_unsupported", "the ledger is in PostgreSQL, which has its own backups", {
      phase: "backup",
      hint: 'Run: pg_dump --format=custom --file=ledger.dump "$SANDBOXER_LEDGER", or keep a base backup and its WAL.',
    });
  return { file: to, bytes: backupLedger(dataDir, to) };
}

/** Every row as `{table, row}`; hashes of keys and sealed secrets are left out. */
export function exportRows(write: (entry: { table: string; row: Record<string, unknown> }) => Promise<void>): Promise<number> {
  return withLedger(async ({ ledger }) => {
    let count = 0;
    for (const table of await tableNames(ledger))
      await everyRow(ledger, table, async (rows) => {
        for (const row of rows) {
          const { hash: _hash, old_hash: _old, ...key } = row;
          const { value: _value, ...secret } = row;
          await write({ table, row: table === "keys" ? key : table === "secrets" ? secret : row });
          count++;
        }
      });
    return count;
  });
}

/**
 * Copies the data directory's file into an empty PostgreSQL, reads it back, and then takes the file out of the way as
 * `ledger.db.moved`. Killed before that, the database has all of it, and the file is still there.
 *
 * @throws SandboxerError `conflict` while any process works on the file, or for a database that is not empty.
 */
export async function moveTo(address: string): Promise<{ tables: Moved[]; kept: string }> {
  const dataDir = dataDirectory();
  const url = parse(LedgerAddress, address, { what: "--to" });
  const config = readConfig(dataDir);
  const from = openLedger(dataDir);
  const to = openLedger(dataDir, url);
  const file = join(dataDir, "ledger.db");
  try {
    await to.ready();
    const running = await runningInstances(from);
    if (running.length > 0)
      throw new SandboxerError("conflict", `process ${running.map(({ pid }) => pid).join(", ")} works on the ledger`, {
        phase: "move",
        hint: "Stop the server, and wait for commands that run; sandboxes live on meanwhile.",
      });
    const tables = await moveLedger(from, to, { label: dataDirectoryId(dataDir), local: await backendsOnThisHost(config) });
    await from.close();
    renameSync(file, `${file}.moved`);
    for (const suffix of ["-wal", "-shm"]) rmSync(`${file}${suffix}`, { force: true });
    return { tables, kept: `${file}.moved` };
  } finally {
    await from.close();
    await to.close();
  }
}

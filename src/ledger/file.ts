import { linkSync, rmSync, statSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { pathToFileURL } from "node:url";
import { SandboxerError } from "../contract/index.ts";
import { applyMigrations, readVersion } from "./migrate.ts";
import { MIGRATIONS } from "./migrations/index.ts";
import { toLedgerError } from "./storage-error.ts";

/** Files up to this size are checked whole at every open (some milliseconds); larger ones where their size is wrong. */
const CHECK_WHOLE_BELOW = 8 * 1024 ** 2;
/** How long opening waits for another process; once open, waiting is the driver's part, beside the event loop. */
const OPENING_BUSY_MS = 5000;

/** An open ledger file. `readOnly` says why nothing can be written; reading works. */
export interface LedgerFile {
  readonly database: DatabaseSync;
  readonly readOnly: string | null;
}

function size(path: string): number | null {
  const found = statSync(path, { throwIfNoEntry: false });
  return found === undefined ? null : found.size;
}

function refuse(path: string, why: string, hint: string): SandboxerError {
  return new SandboxerError("storage_unavailable", `the ledger ${path} ${why}`, { phase: "open", hint });
}

const restoreHint = (path: string) =>
  `Restore ${path} from a backup, or move it and its -wal and -shm files away to start with an empty one: sandboxes that still run are then found by their labels and removed as orphans.`;

/** Made under another name and linked into place whole, so that a file of 0 bytes is always damage and never a beginning. */
function createFile(path: string): void {
  const draft = `${path}.new-${process.pid}`;
  rmSync(draft, { force: true });
  const database = new DatabaseSync(draft);
  try {
    // Before the first table: free pages can then be given back in steps.
    database.exec("pragma auto_vacuum = incremental; pragma journal_mode = wal");
    applyMigrations(database);
  } finally {
    database.close();
  }
  try {
    linkSync(draft, path);
  } catch (thrown) {
    if (!(thrown instanceof Error && "code" in thrown && thrown.code === "EEXIST")) throw toStorageError(thrown, path);
  } finally {
    rmSync(draft, { force: true });
  }
}

function toStorageError(thrown: unknown, path: string): SandboxerError {
  const ours = toLedgerError(thrown);
  if (ours.code === "storage_unavailable") return ours.with({ hint: restoreHint(path) });
  return new SandboxerError("storage_unavailable", `the ledger ${path} cannot be opened: ${ours.message}`, {
    phase: "open",
    cause: thrown,
  });
}

function configure(database: DatabaseSync): void {
  database.exec(`pragma foreign_keys = on; pragma synchronous = normal; pragma temp_store = memory; pragma cache_size = -8000`);
}

/** Reads go on where writes cannot: on a read-only mount without a log beside the file, only `immutable` can open it. */
function openReadOnly(path: string): DatabaseSync {
  try {
    const database = new DatabaseSync(path, { readOnly: true, timeout: OPENING_BUSY_MS });
    database.prepare("select count(*) from sqlite_schema").get();
    return database;
  } catch (thrown) {
    if ((size(`${path}-wal`) ?? 0) > 0) throw toStorageError(thrown, path);
    const url = pathToFileURL(path);
    url.searchParams.set("immutable", "1");
    return new DatabaseSync(url, { readOnly: true });
  }
}

function openAny(path: string): LedgerFile {
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(path, { timeout: OPENING_BUSY_MS });
    configure(database);
    database.exec("pragma journal_mode = wal");
    // Opening is lazy: only a write shows whether the file, its directory and the disk take one.
    database.exec("begin immediate; update meta set value = value where key = 'schema_version'; commit");
    return { database, readOnly: null };
  } catch (thrown) {
    if (database?.isOpen === true) database.close();
    const error = toLedgerError(thrown);
    const code = thrown instanceof Error && "errcode" in thrown && typeof thrown.errcode === "number" ? thrown.errcode & 0xff : 0;
    if (![8, 10, 13, 14].includes(code)) throw toStorageError(error, path);
    return { database: openReadOnly(path), readOnly: error.message };
  }
}

function check(path: string, database: DatabaseSync): void {
  const version = readVersion(database);
  if (version === null) throw refuse(path, "is a database, but not a sand-boxer ledger", "Point SANDBOXER_DATA at another directory.");
  if (version > MIGRATIONS.length) {
    throw refuse(
      path,
      `has schema ${version}, and this sand-boxer knows up to ${MIGRATIONS.length}`,
      "Run the newer sand-boxer that wrote it, or restore an older backup.",
    );
  }
  const number = (pragma: string) => Number(Object.values(database.prepare(`pragma ${pragma}`).get() ?? {})[0]);
  const bytes = size(path) ?? 0;
  // After a kill the newest pages stand in the log alone, and the file is as much shorter: that is no damage.
  const short = bytes + (size(`${path}-wal`) ?? 0) < number("page_count") * number("page_size");
  if (bytes > CHECK_WHOLE_BELOW && !short) return;
  const found = Object.values(database.prepare("pragma quick_check(1)").get() ?? {})[0];
  if (found !== "ok") throw refuse(path, `is damaged: ${String(found)}`, restoreHint(path));
}

/**
 * Opens the ledger's file, makes it where there is none, and brings its schema up to date. Costs about 2 ms.
 *
 * @throws SandboxerError `storage_unavailable` for a truncated, damaged, foreign or too new file, with what to do.
 */
export function openFile(path: string): LedgerFile {
  const bytes = size(path);
  if (bytes === 0) throw refuse(path, "is damaged: it has 0 bytes", restoreHint(path));
  if (bytes === null) {
    if ((size(`${path}-wal`) ?? 0) > 0) throw refuse(path, "is missing, but its log (-wal) is there", restoreHint(path));
    try {
      createFile(path);
    } catch (thrown) {
      throw toStorageError(thrown, path);
    }
  }
  const file = openAny(path);
  try {
    check(path, file.database);
    if (file.readOnly === null) applyMigrations(file.database);
    file.database.exec("pragma busy_timeout = 0");
    return file;
  } catch (thrown) {
    file.database.close();
    throw toStorageError(thrown, path);
  }
}

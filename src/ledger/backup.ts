import { renameSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { SandboxerError } from "../contract/index.ts";

/**
 * Copies `ledger.db` as it stands, while others go on writing: the copy is one moment's. It is checked whole, and takes its name only
 * then. Blocks this process for as long as it takes: for a command, not for a server. Answers its size in bytes.
 *
 * @throws SandboxerError `conflict` where something has that name, `storage_unavailable` for what cannot be read or written.
 */
export function backupLedger(dataDirectory: string, to: string): number {
  if (statSync(to, { throwIfNoEntry: false }) !== undefined)
    throw new SandboxerError("conflict", `${to} is there already`, { phase: "backup", hint: "Name a file that is not there yet." });
  const draft = `${to}.new-${process.pid}`;
  try {
    const source = new DatabaseSync(join(dataDirectory, "ledger.db"), { readOnly: true, timeout: 10_000 });
    try {
      // Of one moment, whoever writes meanwhile: sqlite3_backup begins anew at each write of another process.
      source.prepare("vacuum into ?").run(draft);
    } finally {
      source.close();
    }
    const copy = new DatabaseSync(draft);
    try {
      const found = Object.values(copy.prepare("pragma quick_check(1)").get() ?? {})[0];
      if (found !== "ok") throw new SandboxerError("storage_unavailable", `the copy is damaged: ${String(found)}`, { phase: "backup" });
      copy.exec("pragma journal_mode = delete");
    } finally {
      copy.close();
    }
    renameSync(draft, to);
    return statSync(to).size;
  } catch (thrown) {
    if (thrown instanceof SandboxerError) throw thrown;
    throw new SandboxerError("storage_unavailable", `the backup could not be made: ${thrown instanceof Error ? thrown.message : String(thrown)}`, {
      phase: "backup",
      cause: thrown,
    }); // prettier-ignore
  } finally {
    for (const suffix of ["", "-wal", "-shm", "-journal"]) rmSync(`${draft}${suffix}`, { force: true });
  }
}

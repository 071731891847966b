import { existsSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ProcessStatus } from "../../../contract/index.ts";
import { SandboxerError } from "../../../contract/index.ts";
import { SIGNAL_BASE, endOf } from "../end.ts";
import { isAlive, type ProcessIdentity } from "../process-tree.ts";
import { journalLength } from "./journal.ts";

/** What stands on disk about one background process. */
export interface ProcessRecord {
  readonly id: string;
  readonly startedAt: number;
  readonly pty: boolean;
  /** Whether input can be given. */
  readonly input: boolean;
  readonly shim: ProcessIdentity;
  /** Root of its tree on the host; undefined where the runtime keeps its processes to itself. */
  readonly root?: ProcessIdentity;
}

/** What the shim wrote at the end. */
interface ExitFile {
  code: number;
  signal: number;
  timed_out: boolean;
  truncated: boolean;
  oom_killed: boolean;
  at: number;
}

export function writeRecord(directory: string, record: ProcessRecord): void {
  writeFileSync(join(directory, "record.json.draft"), JSON.stringify(record), { mode: 0o600 });
  renameSync(join(directory, "record.json.draft"), join(directory, "record.json"));
}

/** Throws `process_not_found` where there is none. */
export function readRecord(directory: string): ProcessRecord {
  try {
    return JSON.parse(readFileSync(join(directory, "record.json"), "utf8")) as ProcessRecord;
  } catch (cause) {
    if (!(cause instanceof Error && "code" in cause && cause.code === "ENOENT")) throw cause;
    throw new SandboxerError("process_not_found", "there is no such process in the sandbox", { cause, phase: "processes" });
  }
}

export function hasExited(directory: string): boolean {
  return existsSync(join(directory, "exit"));
}

/** The processes that were started, oldest first. Throws where the directory cannot be read. */
export function processIds(parent: string): string[] {
  return readdirSync(parent)
    .filter((id) => existsSync(join(parent, id, "record.json")))
    .sort();
}

export function statusOf(directory: string, sandboxAlive: boolean): ProcessStatus {
  const { id, startedAt, shim } = readRecord(directory);
  const outputBytes = journalLength(directory);
  const common = { id, startedAt, outputBytes };
  // In this order: a shim that ends between the two looks has written its exit file before.
  const shimAlive = isAlive(shim);
  if (hasExited(directory)) {
    const exit = JSON.parse(readFileSync(join(directory, "exit"), "utf8")) as ExitFile;
    const code = exit.signal > 0 ? SIGNAL_BASE + exit.signal : exit.code;
    const end = endOf({ code, timedOut: exit.timed_out, truncated: exit.truncated, oomKilled: exit.oom_killed, sandboxAlive });
    return { ...common, running: false, endedAt: exit.at, end };
  }
  if (shimAlive) return { ...common, running: true, endedAt: null, end: null };
  // The shim was killed: nobody saw the end.
  const endedAt = Math.round(statSync(directory).mtimeMs);
  const truncated = existsSync(join(directory, "truncated"));
  return { ...common, running: false, endedAt, end: { outcome: "unknown", exitCode: null, signal: null, oomKilled: false, truncated } };
}

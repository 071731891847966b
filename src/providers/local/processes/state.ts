import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { End, ProcessStatus } from "../../../contract/index.ts";
import { SandboxerError } from "../../../contract/index.ts";
import { SIGNAL_BASE, endOf } from "../end.ts";
import { identify, isAlive, type ProcessIdentity } from "../process-tree.ts";
import { journalLength } from "./journal.ts";

/**
 * What stands about one background process before anything is started, so that no crash leaves one that nobody finds. The
 * rest is written by those who know it: the shim's `pid` names itself, the
 * runtime's `root` is the pid of its tree once it runs, and `tree` that pid with its start time.
 */
export interface ProcessRecord {
  readonly id: string;
  readonly startedAt: number;
  readonly pty: boolean;
  /** Whether input can be given. */
  readonly input: boolean;
  /** Whether its processes are the host's as well; else the runtime keeps them to itself, and `root` means nothing here. */
  readonly hostProcesses: boolean;
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
  writeFileSync(join(directory, "record.json"), JSON.stringify(record), { mode: 0o600 });
}

/** Throws `process_not_found` where there is none, or it was never started. */
export function readRecord(directory: string): ProcessRecord {
  if (!hasStarted(directory))
    throw new SandboxerError("process_not_found", "there is no such process in the sandbox", { phase: "processes" });
  return JSON.parse(readFileSync(join(directory, "record.json"), "utf8")) as ProcessRecord;
}

/** Whether the runtime has started it, be it that it has ended since. */
export function hasStarted(directory: string): boolean {
  return (statSync(join(directory, "root"), { throwIfNoEntry: false })?.size ?? 0) > 0;
}

/** The process that keeps the journal; undefined where it did not come as far as to say so. */
export function shimOf(directory: string): ProcessIdentity | undefined {
  return identityIn(directory, "pid");
}

/**
 * Root of its tree on the host; undefined where it is none of the host's, or its end was seen. Where the server died before it kept
 * the root's start time, that is looked up, as long as the runtime waits for the root: till then its id is no other's.
 */
export function rootOf(directory: string): ProcessIdentity | undefined {
  if (!readRecord(directory).hostProcesses) return undefined;
  const kept = identityIn(directory, "tree");
  if (kept !== undefined) return kept;
  const root = identify(Number(textOf(directory, "root")));
  const shim = shimOf(directory);
  return shim !== undefined && isAlive(shim) && !hasExited(directory) ? root : undefined;
}

/** Keeps the root of a tree that was just started. One that has ended already can have no later namesake taken for it. */
export function keepRoot(directory: string): void {
  const pid = Number(textOf(directory, "root"));
  writeFileSync(join(directory, "tree"), `${pid} ${identify(pid)?.startTicks ?? -1}`, { mode: 0o600 });
}

function identityIn(directory: string, name: string): ProcessIdentity | undefined {
  const [pid, startTicks] = textOf(directory, name).split(" ").map(Number);
  return pid === undefined || startTicks === undefined ? undefined : { pid, startTicks };
}

/** Empty where there is no such file. */
function textOf(directory: string, name: string): string {
  try {
    return readFileSync(join(directory, name), "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return "";
    throw error;
  }
}

export function hasExited(directory: string): boolean {
  return existsSync(join(directory, "exit"));
}

/** How it ended and when, as its shim wrote; undefined where that wrote nothing. `sandboxAlive` is asked only where that makes a difference. */
export function writtenEnd(directory: string, sandboxAlive: () => boolean): { end: End; at: number } | undefined {
  const text = textOf(directory, "exit");
  if (text === "") return undefined;
  const exit = JSON.parse(text) as ExitFile;
  const code = exit.signal > 0 ? SIGNAL_BASE + exit.signal : exit.code;
  const seen = { code, timedOut: exit.timed_out, truncated: exit.truncated, oomKilled: exit.oom_killed };
  return { end: endOf({ ...seen, sandboxAlive: code <= SIGNAL_BASE || sandboxAlive() }), at: exit.at };
}

export function statusOf(directory: string, sandboxAlive: () => boolean): ProcessStatus {
  const { id, startedAt } = readRecord(directory);
  const shim = shimOf(directory);
  const outputBytes = journalLength(directory);
  const common = { id, startedAt, outputBytes };
  // In this order: a shim that ends between the two looks has written its exit file before.
  const shimAlive = shim !== undefined && isAlive(shim);
  const written = writtenEnd(directory, sandboxAlive);
  if (written !== undefined) return { ...common, running: false, endedAt: written.at, end: written.end };
  if (shimAlive) return { ...common, running: true, endedAt: null, end: null };
  // The shim was killed: nobody saw the end.
  const endedAt = Math.round(statSync(directory).mtimeMs);
  const truncated = existsSync(join(directory, "truncated"));
  return { ...common, running: false, endedAt, end: { outcome: "unknown", exitCode: null, signal: null, oomKilled: false, truncated } };
}

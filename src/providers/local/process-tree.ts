import { readdirSync, readFileSync } from "node:fs";
import type { Cgroup } from "./cgroup.ts";

/** Host processes, as /proc shows them. */

/** A process that cannot be mistaken for a later one with the same id: ids are reused, ids with their start time are not. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Clock ticks after boot, field 22 of /proc/PID/stat. */
  readonly startTicks: number;
}

interface Stat {
  readonly parent: number;
  readonly startTicks: number;
  readonly state: string;
}

/** Field numbers: proc(5). The name in field 2 may hold spaces and parentheses, so fields count from its end. */
function readStat(pid: number): Stat | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ESRCH")) return undefined;
    throw error;
  }
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return { state: fields[0] ?? "", parent: Number(fields[1]), startTicks: Number(fields[19]) };
}

export function identify(pid: number): ProcessIdentity | undefined {
  const stat = readStat(pid);
  return stat === undefined ? undefined : { pid, startTicks: stat.startTicks };
}

/** Whether that very process still runs; a zombie does not. */
export function isAlive({ pid, startTicks }: ProcessIdentity): boolean {
  const stat = readStat(pid);
  return stat !== undefined && stat.startTicks === startTicks && stat.state !== "Z" && stat.state !== "X";
}

/** Every process of this host whose command line has all of these words. Reads all of /proc: some 5 ms. */
export function processesWith(words: readonly string[]): ProcessIdentity[] {
  const found: ProcessIdentity[] = [];
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const argv = commandLine(name);
    const identity = words.every((word) => argv.includes(word)) ? identify(Number(name)) : undefined;
    if (identity !== undefined) found.push(identity);
  }
  return found;
}

function commandLine(pid: string): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
  } catch (error) {
    // It has ended meanwhile, or is somebody else's on a host that hides those.
    if (error instanceof Error && "code" in error && ["ENOENT", "ESRCH", "EACCES"].includes(String(error.code))) return [];
    throw error;
  }
}

/** Sends a signal to that very process; false where it is gone. */
export function signalProcess(identity: ProcessIdentity, signal: NodeJS.Signals): boolean {
  if (!isAlive(identity)) return false;
  try {
    process.kill(identity.pid, signal);
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ESRCH") return false;
    throw error;
  }
}

/** Where no control group says which ones are the sandbox's. */
function allProcesses(): number[] {
  return readdirSync("/proc").filter((name) => /^\d+$/.test(name)).map(Number); // prettier-ignore
}

/** Those of `candidates` that are `root` or come from it. Complete only while nothing forks: freeze first. */
function descendants(root: number, candidates: readonly number[]): number[] {
  const parents = new Map(candidates.map((pid) => [pid, readStat(pid)?.parent] as const));
  return candidates.filter((pid) => {
    for (let at: number | undefined = pid, steps = 0; at !== undefined && steps <= candidates.length; at = parents.get(at), steps++) {
      if (at === root) return true;
    }
    return false;
  });
}

/** The kernel freezes in the background; this many looks, then what is there is taken as it is. */
const FREEZE_LOOKS = 200;

/**
 * Sends a signal to a command's whole tree. Daemons belong to it, since each command runs below a subreaper of its own. The
 * sandbox stands still for the moment it takes (under 1 ms), so that nothing forks away from the look.
 */
export async function signalTree(cgroup: Cgroup, root: ProcessIdentity, signal: NodeJS.Signals): Promise<boolean> {
  const looks = cgroup.freeze(true) ? FREEZE_LOOKS : 0;
  try {
    for (let look = 0; look < looks && !cgroup.isFrozen(); look++) await new Promise((resolve) => setImmediate(resolve));
    if (!isAlive(root)) return false;
    for (const pid of descendants(root.pid, cgroup.processes() ?? allProcesses())) {
      // The subreaper forwards what it gets to its child, which has it already; only an end is meant for it as well.
      if (pid === root.pid && signal !== "SIGKILL") continue;
      const identity = identify(pid);
      if (identity !== undefined) signalProcess(identity, signal);
    }
    return true;
  } finally {
    cgroup.thaw();
  }
}

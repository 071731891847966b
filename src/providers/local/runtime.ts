import { existsSync, readdirSync, readFileSync } from "node:fs";
import { access, constants, stat } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { IsolationLevel } from "../../contract/index.ts";
import { SandboxerError } from "../../contract/index.ts";
import { run } from "./run.ts";

/** The OCI runtimes that one driver speaks to, and how they differ. */

export type RuntimeName = "crun" | "runc" | "runsc";

/** How the runtimes differ where it matters here. */
interface Kind {
  readonly level: IsolationLevel;
  readonly debianPackage: string;
  /** Global flags before the command. */
  readonly flags: (log: string) => string[];
  /**
   * Whether it can put a sandbox into a network namespace that is there already. runc 1.1 makes the sandbox, but then runs no command in it: its exec
   * enters the user namespace first, and has no right to the other any more.
   */
  readonly joins: boolean;
  /** What is added to them where the sandbox joins a network namespace. The last word counts. */
  readonly joinFlags: readonly string[];
  /** Whether a command's processes are the host's too, below a subreaper. gVisor keeps them to itself. */
  readonly hostProcesses: boolean;
  /** Host threads that it needs for itself, beside the sandbox's own processes: they count in the same control group. */
  readonly ownThreads: number;
  /** What is true of the level with this runtime, whatever its version. */
  readonly notes: readonly string[];
  /** Its exec goes on for as long as anything holds the command's output: another waits for the command in its place. */
  readonly lingers: boolean;
  /** How it gives a background process a terminal; see native/process-shim.pl. */
  readonly terminal: "console" | "pty";
}

export const RUNTIMES: Readonly<Record<RuntimeName, Kind>> = {
  crun: {
    level: "container",
    debianPackage: "crun",
    joins: true,
    joinFlags: [],
    flags: (log) => [`--log=file:${log}`, "--log-format=text"],
    hostProcesses: true,
    ownThreads: 0,
    notes: [],
    lingers: false,
    // crun 1.8 does not pass a change of size on from a terminal of ours.
    terminal: "console",
  },
  runc: {
    level: "container",
    debianPackage: "runc",
    joins: false,
    joinFlags: [],
    flags: (log) => ["--log", log, "--log-format", "text"],
    hostProcesses: true,
    ownThreads: 0,
    notes: [],
    lingers: true,
    terminal: "console",
  },
  runsc: {
    level: "gvisor",
    debianPackage: "runsc",
    joins: true,
    // Its sockets are then the kernel's, in the joined namespace: that has a boundary, gVisor's own stack would need a device.
    joinFlags: ["--network=host"],
    // The platform is left to it: ptrace in old releases, systrap since 2023; kvm would have to be asked for.
    flags: (log) => ["--log", log, "--log-format", "text", "--network=none", "--cpu-num-from-quota"],
    hostProcesses: false,
    ownThreads: 512,
    notes: [
      "memory and pids limits hold for the sandbox as a whole, gVisor's own threads among them: reaching one ends the sandbox, not a command",
      "a command that clears its environment outlives its own timeout, within the sandbox",
    ],
    lingers: false,
    terminal: "pty",
  },
};

/** Names below the state directory that belong to a sandbox. runsc puts them flat: `<id>_sandbox:<id>.state` and `.lock`. */
export function stateNames(root: string, id: string): string[] {
  try {
    return readdirSync(root).filter((name) => name === id || name.startsWith(`${id}_sandbox:`));
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return [];
    throw error;
  }
}

/** The sandboxes that a runtime has state of. Throws where its directory cannot be read. */
export function statefulIds(root: string): string[] {
  return existsSync(root) ? [...new Set(readdirSync(root).map((name) => name.split("_sandbox:")[0] ?? name))] : [];
}

/** A runtime that was found on this host. */
export interface Runtime {
  readonly name: RuntimeName;
  readonly program: string;
  readonly version: string;
  /** Its state directory (`--root`), one for each data directory. */
  readonly root: string;
  /** Runs without root, and so without control groups. */
  readonly rootless: boolean;
}

/** Beside the sources and beside the build alike. */
const STAND_IN = fileURLToPath(new URL("../../../native/stand-in.pl", import.meta.url));

/** The command line that runs a described process in a sandbox, and ends as the process does. */
export function execArgv(
  runtime: Runtime,
  log: string,
  sandboxId: string,
  files: { process: string; pid: string },
  more: readonly string[] = [],
): string[] {
  const { lingers } = RUNTIMES[runtime.name];
  const named = ["--pid-file", files.pid, "--process", files.process, sandboxId];
  const argv = runtimeArgv(runtime, log, "exec", ...(lingers ? ["--detach"] : []), ...more, ...named);
  return lingers ? ["perl", STAND_IN, files.pid, process.arch === "arm64" ? "167" : "157", "--", ...argv] : argv;
}

/** The full command line of one call. */
export function runtimeArgv(runtime: Runtime, log: string, ...args: string[]): string[] {
  // Said outright: a runtime that finds out by itself may also decide otherwise.
  const rootless = !runtime.rootless ? [] : runtime.name === "crun" ? ["--cgroup-manager=disabled"] : ["--rootless=true"];
  return [runtime.program, "--root", runtime.root, ...rootless, ...RUNTIMES[runtime.name].flags(log), ...args];
}

/** The last words in a runtime's log, as one line. */
export function lastWords(log: string): string {
  let text: string;
  try {
    text = readFileSync(log, "utf8");
  } catch {
    return "it left no message";
  }
  const lines = text
    .trim()
    .split("\n")
    .filter((line) => line !== "");
  return lines.slice(-2).map((line) => line.replace(/^.*?(?:msg=|: error: |error: )/i, "").replaceAll('"', "")).join("; ") || "it left no message"; // prettier-ignore
}

/** Version text of a runtime, or undefined where the program does not run. */
export async function runtimeVersion(program: string): Promise<string | undefined> {
  const answer = await run([program, "--version"], { timeoutMs: 10_000 }).catch(notRunning);
  return answer.code === 0 ? (/version\s+(?:release-)?(\S+)/.exec(answer.stdout)?.[1] ?? answer.stdout.trim().split("\n")[0]) : undefined;
}

/** What cannot even be started, or hangs, is as good as one that fails. */
function notRunning(error: unknown): { code: null; stdout: "" } {
  if (error instanceof SandboxerError) return { code: null, stdout: "" };
  throw error;
}

/** Where a program is on the PATH and the usual system directories. */
export async function findProgram(name: string): Promise<string | undefined> {
  const directories = new Set([
    ...(process.env["PATH"] ?? "").split(":"),
    "/usr/local/sbin",
    "/usr/local/bin",
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
  ]);
  for (const directory of directories) {
    if (!directory.startsWith("/")) continue;
    const path = join(directory, name);
    if (await isExecutable(path)) return path;
  }
  return undefined;
}

async function isExecutable(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    return (await stat(path)).isFile();
  } catch {
    // Not there, or not ours to run: either way it is not a runtime for us.
    return false;
  }
}

/** What is known to be wrong with a version. Sources: the projects' security advisories. */
export function knownFlaws(name: RuntimeName, version: string): string[] {
  const parts = version.split(/[.+~-]/).map(Number);
  const before = (...fixed: number[]): boolean => {
    for (let i = 0; i < fixed.length; i++) {
      const [a, b] = [parts[i] ?? 0, fixed[i] ?? 0];
      if (Number.isNaN(a)) return false;
      if (a !== b) return a < b;
    }
    return false;
  };
  if (name === "runc" && before(1, 2, 8)) {
    return [
      `runc ${version} lacks the fixes for CVE-2025-31133, CVE-2025-52565 and CVE-2025-52881 unless the distribution brought them back; crun or runsc is preferred`,
    ];
  }
  if (name === "runsc" && /^0\.0~20(1|2[0-3])/.test(version)) {
    return [
      `runsc ${version} is old: slow system calls, no fixes since, and \`ls\` and \`stat\` of coreutils 9 fail in it (statx); install a current gVisor release`,
    ];
  }
  return [];
}

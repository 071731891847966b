import { type ChildProcess, spawn } from "node:child_process";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { type Bundle, type BundleConfig, withCommand } from "./ours.ts";

/** Ids that neither a distribution, an engine nor the provider hands out. */
const FIRST_ID = 3 * 2 ** 28;
const IDS = 65_536;
const SANDBOX_UID = 1000;
const DELETE_ATTEMPTS = 20;
const CGROUPS = "/sand-boxer-bench";

/** A sandbox made by hand, or ready to be. */
export interface RawSandbox {
  readonly id: string;
  readonly directory: string;
}

/**
 * The runtime used by hand: the bundle, the hardening and the process are those of the provider; its bundle, its
 * writable directories and its process.json stand before the clock starts. No ledger, no server, no disk quota.
 */
export class Raw {
  readonly name: string;
  readonly #bundle: Bundle;
  readonly #directory: string;
  readonly #root: string;
  readonly #live = new Set<RawSandbox>();
  #made = 0;

  constructor(bundle: Bundle) {
    this.name = bundle.runtime;
    this.#bundle = bundle;
    this.#directory = mkdtempSync(join(tmpdir(), "sand-boxer-raw-"));
    chmodSync(this.#directory, 0o711);
    this.#root = join(this.#directory, "state");
    mkdirSync(this.#root, { mode: 0o711 });
  }

  /** Writes what the runtime needs; not part of what is timed. */
  prepare(): RawSandbox {
    const number = this.#made++;
    const id = `raw${String(number).padStart(6, "0")}`;
    const directory = join(this.#directory, id);
    mkdirSync(directory, { mode: 0o711 });
    const config: BundleConfig = structuredClone(this.#bundle.config);
    const base = FIRST_ID + (number % 4096) * IDS;
    config.hostname = id;
    config.linux.cgroupsPath = `${CGROUPS}/${id}`;
    for (const mapping of [...config.linux.uidMappings, ...config.linux.gidMappings]) mapping.hostID = base;
    for (const mount of config.mounts) {
      const writable = /\/slots\/disks\/\d+\/(\w+)$/.exec(mount.source)?.[1];
      if (writable === undefined) continue;
      mount.source = join(directory, writable);
      mkdirSync(mount.source);
      chmodSync(mount.source, writable === "vartmp" ? 0o1777 : 0o755);
      chownSync(mount.source, base + SANDBOX_UID, base + SANDBOX_UID);
    }
    writeFileSync(join(directory, "config.json"), JSON.stringify(config));
    writeFileSync(join(directory, "true.json"), JSON.stringify(this.#bundle.process));
    return { id, directory };
  }

  async create(sandbox: RawSandbox): Promise<void> {
    const { id, directory } = sandbox;
    this.#live.add(sandbox);
    await succeed(this.#start(["run", "--detach", "--bundle", directory, "--pid-file", join(directory, "pid"), id], "ignore"), this.name);
  }

  /** With pipes for its output, as anyone has who wants to see it. */
  async exec({ id, directory }: RawSandbox): Promise<void> {
    const child = this.#start(["exec", "--process", join(directory, "true.json"), id], "pipe");
    child.stdout?.resume();
    child.stderr?.resume();
    await succeed(child, this.name);
  }

  /** Kill, wait, delete: the fastest way that the runtime itself offers. */
  async destroy(sandbox: RawSandbox): Promise<void> {
    const pid = Number(readFileSync(join(sandbox.directory, "pid"), "utf8"));
    process.kill(pid, "SIGKILL");
    while (!hasEnded(pid)) await new Promise((resolve) => setImmediate(resolve));
    // Right after the kill it may find the container running still, and must be asked again.
    for (let attempt = 1; ; attempt++) {
      const child = this.#start(["delete", sandbox.id], "pipe");
      let words = "";
      child.stdout?.resume();
      child.stderr?.on("data", (text: Buffer) => (words += text.toString()));
      try {
        await succeed(child, `${this.name} delete`);
        break;
      } catch (failure) {
        if (attempt === DELETE_ATTEMPTS) throw new Error(words, { cause: failure });
      }
    }
    this.#live.delete(sandbox);
  }

  /** Removes the writable directories; not part of what is timed, since the provider does it after its answer too. */
  discard({ directory }: RawSandbox): void {
    rmSync(directory, { recursive: true, force: true });
  }

  #start(args: readonly string[], output: "ignore" | "pipe"): ChildProcess {
    return spawn(this.#bundle.runtime, ["--root", this.#root, ...args], { stdio: ["ignore", output, output] });
  }

  /** A command in a sandbox of the provider's own, with the caller's hands on both ends of its pipes. */
  inside(backend: string, id: string, command: readonly string[]): ChildProcess {
    const file = join(this.#directory, `inside-${this.#made++}.json`);
    writeFileSync(file, JSON.stringify(withCommand(this.#bundle.process, command)));
    const root = join(backend, "runtimes", this.name);
    return spawn(this.#bundle.runtime, ["--root", root, "exec", "--process", file, id], { stdio: ["pipe", "pipe", "inherit"] });
  }

  /** Ends whatever a failure left, and removes everything. */
  async dispose(): Promise<void> {
    for (const sandbox of this.#live) {
      const child = this.#start(["delete", "--force", sandbox.id], "ignore");
      await new Promise((resolve) => child.once("close", resolve));
    }
    rmSync(this.#directory, { recursive: true, force: true });
    await removeGroups();
  }
}

function hasEnded(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return /^[ZX]/.test(stat.slice(stat.lastIndexOf(")") + 2));
  } catch (error) {
    // The process went away between the two system calls, or before.
    if (error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ESRCH")) return true;
    throw error;
  }
}

/** Resolves at exit 0 with the output read to its end. */
export function succeed(child: ChildProcess, what: string): Promise<void> {
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) => (code === 0 ? resolve() : reject(new Error(`${what} ended with ${signal ?? code}`))));
  });
}

/** The empty control groups above the sandboxes made by hand. */
async function removeGroups(): Promise<void> {
  const mounts = readFileSync("/proc/self/mountinfo", "utf8").split("\n").filter((line) => / - cgroup2? /.test(line)); // prettier-ignore
  for (const point of mounts.map((line) => line.split(" ")[4] ?? "")) {
    const parent = join(point, CGROUPS);
    for (let attempt = 0; existsSync(parent) && attempt < 50; attempt++) {
      for (const entry of readdirSync(parent, { withFileTypes: true })) if (entry.isDirectory()) rmdirQuietly(join(parent, entry.name));
      rmdirQuietly(parent);
      await pause(20);
    }
  }
}

/** A group whose last process the kernel has not let go of yet is busy for a moment. */
function rmdirQuietly(directory: string): void {
  try {
    rmdirSync(directory);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && (error.code === "EBUSY" || error.code === "ENOTEMPTY"))) throw error;
  }
}

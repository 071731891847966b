import type { Duplex } from "node:stream";
import { SandboxerError } from "../../contract/index.ts";
import type { Created, IsolationLevel, Observed, Ref, SandboxSpec } from "../../contract/index.ts";
import type { BackgroundProcess } from "./background.ts";
import { Gate } from "./gate.ts";
import { Job, PidTable } from "./task.ts";
import { Tree } from "./tree.ts";

/** Where commands start and relative paths begin. */
export const WORKSPACE = "/workspace";

/** Somebody inside: whom files belong to. */
export interface User {
  readonly uid: number;
  readonly gid: number;
  readonly name: string;
}

const ROOT: User = { uid: 0, gid: 0, name: "root" };
const SANDBOX: User = { uid: 1000, gid: 1000, name: "sandbox" };

/** One sandbox in memory. */
export class FakeSandbox {
  readonly spec: SandboxSpec;
  readonly created: Created;
  tree: Tree;
  readonly pids = new PidTable();
  readonly processes = new Map<string, BackgroundProcess>();
  /** What takes connections, by port. */
  readonly listeners = new Map<number, (connection: Duplex) => void>();
  stopped: Observed["stoppedBecause"];
  /** There is its tree and nothing else. */
  suspended = false;
  readonly gate = new Gate();
  oomKills = 0;
  #expiry: NodeJS.Timeout | undefined;

  constructor(spec: SandboxSpec, level: IsolationLevel) {
    this.spec = spec;
    const { id, tenant, generation, maxLifeAt } = spec;
    const ref: Ref = { id, tenant, generation, native: `fake-${id}-${generation}`, maxLifeAt };
    this.created = {
      ref,
      isolation: { level, runtime: "fake", notes: ["The fake backend runs nothing and isolates nothing; the level is claimed for tests."] },
    };
    this.tree = furnish(spec);
    this.#expireAt(maxLifeAt);
  }

  newJob(): Job {
    return new Job(this.pids);
  }

  /** Everything in it dies, and its tree is kept. */
  suspend(): void {
    this.suspended = true;
    this.stopped = undefined;
    clearTimeout(this.#expiry);
    for (const task of this.pids.tasks.values()) task.kill("SIGKILL");
    this.gate.open();
  }

  wake(): void {
    this.suspended = false;
    clearTimeout(this.#expiry);
    this.#expireAt(this.spec.maxLifeAt);
  }

  /** What it held is gone, and nothing of it says so. */
  loseDisk(): void {
    this.tree = furnish(this.spec);
  }

  /** Everything in it dies; it is still listed until it is destroyed. */
  stop(because: NonNullable<Observed["stoppedBecause"]>): void {
    this.stopped ??= because;
    clearTimeout(this.#expiry);
    for (const task of this.pids.tasks.values()) task.kill("SIGKILL");
  }

  observe(): Observed {
    const usage = {
      cpu_seconds: 0,
      memory_bytes: this.tree.usedBytes,
      memory_peak_bytes: null,
      disk_bytes: this.tree.usedBytes,
      inodes: this.tree.usedInodes,
      pids: this.pids.tasks.size,
      oom_kills: this.oomKills,
    };
    if (this.stopped !== undefined) return { state: "stopped", stoppedBecause: this.stopped, usage };
    return { state: this.suspended ? "suspended" : this.gate.closed ? "paused" : "running", usage };
  }

  /** Whom a command runs as. Throws `invalid_request` for a name that the image does not have. */
  user(name: string | undefined): User {
    const wanted = name ?? this.spec.user;
    if (wanted === undefined) return SANDBOX;
    const known = [ROOT, SANDBOX].find((user) => user.name === wanted);
    if (known !== undefined) return known;
    const match = /^(\d+)(?::(\d+))?$/.exec(wanted);
    if (match === null)
      throw new SandboxerError("invalid_request", `the sandbox has no user "${wanted}"`, {
        phase: "exec",
        issues: [{ path: "user", message: "no such user", nearest: "sandbox" }],
      });
    const uid = Number(match[1]);
    return { uid, gid: Number(match[2] ?? uid), name: [ROOT, SANDBOX].find((user) => user.uid === uid)?.name ?? String(uid) };
  }

  /** Timers cannot wait for longer than 2^31 ms, so a far deadline is waited for in steps. */
  #expireAt(deadline: number): void {
    const left = deadline - Date.now();
    this.#expiry = setTimeout(
      () => (left > 2 ** 31 - 1 ? this.#expireAt(deadline) : this.stop("expired")),
      Math.min(Math.max(left, 0), 2 ** 31 - 1),
    );
    this.#expiry.unref();
  }
}

function furnish(spec: SandboxSpec): Tree {
  const tree = new Tree({ bytes: spec.resources.diskBytes, inodes: spec.resources.inodes });
  const root = { cwd: "/", uid: 0 };
  for (const directory of ["/bin", "/usr/bin", "/etc", "/dev", "/home", "/tmp", "/var/tmp"]) tree.makeParents(directory, root);
  for (const everyones of ["/tmp", "/var/tmp"]) tree.lookup(everyones, root).node.mode = 0o1777;
  for (const home of [WORKSPACE, "/home/sandbox"]) tree.makeParents(home, root).uid = SANDBOX.uid;
  tree.make(tree.place("/home/user", root), "symlink", 0o777, root, "sandbox");
  for (const device of ["null", "zero"]) tree.make(tree.place(`/dev/${device}`, root), "char_device", 0o666, root, device);
  const hostname = tree.openForWrite("/etc/hostname", root, "truncate");
  tree.append(hostname.node, new TextEncoder().encode(`${spec.hostname}\n`), hostname.path);
  // What the image itself holds does not count against the sandbox's own quota.
  tree.usedBytes = 0;
  tree.usedInodes = 0;
  return tree;
}

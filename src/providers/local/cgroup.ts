import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { SandboxSpec } from "../../contract/index.ts";

/**
 * Control groups of one sandbox, whether the host has version 1, version 2, or both at once: a controller is where it is
 * mounted. Files: https://docs.kernel.org/admin-guide/cgroup-v1/ and https://docs.kernel.org/admin-guide/cgroup-v2.html
 */

const CONTROLLERS = ["memory", "cpu", "cpuset", "pids", "freezer"] as const;
type Controller = (typeof CONTROLLERS)[number];

/** Mount point of each controller, and which version it is. A missing one is not available on this host. */
export interface CgroupMounts {
  readonly version1: Readonly<Partial<Record<Controller, string>>>;
  readonly version2: { readonly mountPoint: string; readonly controllers: readonly string[] } | undefined;
  /** Other version 1 hierarchies (devices, blkio, names): a sandbox has directories there too. */
  readonly others: readonly string[];
}

/** Where control groups are not ours to use. */
export const NO_CGROUPS: CgroupMounts = { version1: {}, version2: undefined, others: [] };

/** Reads the host's layout. Throws where /proc cannot be read. */
export function findCgroups(): CgroupMounts {
  const version1: Partial<Record<Controller, string>> = {};
  const others: string[] = [];
  let version2: CgroupMounts["version2"];
  for (const line of readFileSync("/proc/self/mountinfo", "utf8").split("\n")) {
    const fields = line.split(" ");
    const separator = fields.indexOf("-");
    const [type, , options = ""] = fields.slice(separator + 1);
    const mountPoint = fields[4] ?? "";
    if (type === "cgroup2") {
      version2 = { mountPoint, controllers: readFileSync(join(mountPoint, "cgroup.controllers"), "utf8").trim().split(" ") };
    } else if (type === "cgroup") {
      const mounted = CONTROLLERS.filter((controller) => options.split(",").includes(controller));
      for (const controller of mounted) version1[controller] = mountPoint;
      if (mounted.length === 0) others.push(mountPoint);
    }
  }
  return { version1, version2, others };
}

/** The control group of a sandbox, by its path below every controller's mount point. */
export class Cgroup {
  readonly #mounts: CgroupMounts;
  readonly path: string;
  readonly #restMarker: string | undefined;

  /** `restMarker`: a file that is there while everything in the group is to stand still. */
  constructor(mounts: CgroupMounts, path: string, restMarker?: string) {
    this.#mounts = mounts;
    this.path = path;
    this.#restMarker = restMarker;
  }

  /** Every directory it can have on this host, once each. */
  directories(): string[] {
    const { version1, version2, others } = this.#mounts;
    const roots = new Set([...Object.values(version1), ...others, ...(version2 === undefined ? [] : [version2.mountPoint])]);
    return [...roots].map((root) => join(root, this.path));
  }

  /**
   * Makes the group's parents. In version 1 a new group of CPUs is empty until it is told, and not every runtime tells the parents.
   * Does nothing where they are there.
   */
  prepareParent(): void {
    const root = this.#mounts.version1.cpuset;
    if (root === undefined) return;
    let at = root;
    for (const part of dirname(this.path)
      .split("/")
      .filter((name) => name !== "")) {
      const above = at;
      at = join(at, part);
      mkdirSync(at, { recursive: true });
      for (const file of ["cpuset.cpus", "cpuset.mems"]) {
        if (readFileSync(join(at, file), "utf8").trim() === "") writeFileSync(join(at, file), readFileSync(join(above, file)));
      }
    }
  }

  exists(): boolean {
    return this.directories().some((directory) => existsSync(directory));
  }

  #file(controller: Controller, version1: string, version2: string): string | undefined {
    const mounted = this.#mounts.version1[controller];
    if (mounted !== undefined) return join(mounted, this.path, version1);
    const unified = this.#mounts.version2;
    if (unified === undefined) return undefined;
    return controller === "freezer" || unified.controllers.includes(controller) ? join(unified.mountPoint, this.path, version2) : undefined;
  }

  #read(controller: Controller, version1: string, version2: string): string | undefined {
    const file = this.#file(controller, version1, version2);
    if (file === undefined) return undefined;
    try {
      return readFileSync(file, "utf8").trim();
    } catch (error) {
      if (error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ENODEV")) return undefined;
      throw error;
    }
  }

  #number(controller: Controller, version1: string, version2: string): number | undefined {
    const text = this.#read(controller, version1, version2);
    return text === undefined || !/^\d+$/.test(text) ? undefined : Number(text);
  }

  /** A field of a `name value` file, such as memory.events. */
  #field(controller: Controller, version1: string, version2: string, field: string): number | undefined {
    const line = this.#read(controller, version1, version2)
      ?.split("\n")
      .find((candidate) => candidate.startsWith(`${field} `));
    return line === undefined ? undefined : Number(line.slice(field.length + 1));
  }

  /** What differs between the limits that were asked and those the kernel has; empty when they hold. `ownThreads` are the runtime's beside the sandbox's. */
  missingLimits({ resources }: Pick<SandboxSpec, "resources">, ownThreads: number): string[] {
    const missing: string[] = [];
    const pageSize = 4096;
    const memory = this.#number("memory", "memory.limit_in_bytes", "memory.max");
    if (memory === undefined || memory > resources.memoryBytes || memory < resources.memoryBytes - pageSize)
      missing.push(`memory (${memory ?? "no limit"})`);
    const swap = this.#read("memory", "memory.memsw.limit_in_bytes", "memory.swap.max");
    const swapBound = this.#mounts.version1.memory === undefined ? 0 : resources.memoryBytes;
    // Without swap accounting in the kernel the file is not there, and neither is swap for the group.
    if (swap !== undefined && !(Number(swap) <= swapBound)) missing.push(`swap (${swap})`);
    const pids = this.#number("pids", "pids.max", "pids.max");
    if (pids !== resources.pids + ownThreads) missing.push(`pids (${pids ?? "no limit"})`);
    const share = this.#cpuShare();
    if (share === undefined || share > Math.max(0.01, resources.cpu) * 1.001) missing.push(`cpu (${share ?? "no limit"})`);
    return missing;
  }

  #cpuShare(): number | undefined {
    if (this.#mounts.version1.cpu !== undefined) {
      const quota = this.#number("cpu", "cpu.cfs_quota_us", "");
      const period = this.#number("cpu", "cpu.cfs_period_us", "");
      return quota === undefined || period === undefined ? undefined : quota / period;
    }
    const [quota, period] = (this.#read("cpu", "", "cpu.max") ?? "").split(" ").map(Number);
    return quota === undefined || period === undefined || Number.isNaN(quota) ? undefined : quota / period;
  }

  /** How many processes the kernel has killed in it for want of memory. */
  oomKills(): number | undefined {
    return this.#field("memory", "memory.oom_control", "memory.events", "oom_kill");
  }

  memoryBytes(): number | undefined {
    return this.#number("memory", "memory.usage_in_bytes", "memory.current");
  }

  memoryPeakBytes(): number | undefined {
    return this.#number("memory", "memory.max_usage_in_bytes", "memory.peak");
  }

  cpuSeconds(): number | undefined {
    const accounting = this.#mounts.others.find((root) => existsSync(join(root, this.path, "cpuacct.usage")));
    if (accounting !== undefined) return Number(readFileSync(join(accounting, this.path, "cpuacct.usage"), "utf8")) / 1e9;
    const together = this.#number("cpu", "cpuacct.usage", "");
    if (together !== undefined) return together / 1e9;
    const microseconds = this.#field("cpu", "", "cpu.stat", "usage_usec");
    return microseconds === undefined ? undefined : microseconds / 1e6;
  }

  pids(): number | undefined {
    return this.#number("pids", "pids.current", "pids.current");
  }

  /** Host ids of the processes in it; empty where it is gone, undefined where there are no groups to ask. */
  processes(): number[] | undefined {
    if (this.#file("pids", "", "") === undefined) return undefined;
    const text = this.#read("pids", "cgroup.procs", "cgroup.procs") ?? "";
    return text === "" ? [] : text.split("\n").map(Number);
  }

  /** Stops or lets go on everything in it at once. False where there is nothing to do it with, or the group is gone. */
  freeze(frozen: boolean): boolean {
    const version1 = this.#mounts.version1.freezer !== undefined;
    const file = this.#file("freezer", "freezer.state", "cgroup.freeze");
    if (file === undefined || !existsSync(file)) return false;
    writeFileSync(file, version1 ? (frozen ? "FROZEN" : "THAWED") : frozen ? "1" : "0");
    return true;
  }

  /** Lets go after a freeze that was for a moment: what is to stand still goes on to. */
  thaw(): void {
    if (this.#restMarker === undefined || !existsSync(this.#restMarker)) this.freeze(false);
  }

  /** The files that a process's shim needs; see native/process-shim.pl. */
  shimFiles(): Record<string, string | number> {
    const version1 = this.#mounts.version1.freezer !== undefined;
    const files = {
      freezer: this.#file("freezer", "freezer.state", "cgroup.freeze"),
      frozen: this.#file("freezer", "freezer.state", "cgroup.events"),
      procs: this.#file("pids", "cgroup.procs", "cgroup.procs"),
      oom: this.#file("memory", "memory.oom_control", "memory.events"),
    };
    const known = Object.entries(files).filter((entry): entry is [string, string] => entry[1] !== undefined);
    return { version: version1 ? 1 : 2, ...Object.fromEntries(known) };
  }

  isFrozen(): boolean {
    if (this.#mounts.version1.freezer !== undefined) return this.#read("freezer", "freezer.state", "") === "FROZEN";
    return this.#field("freezer", "", "cgroup.events", "frozen") === 1;
  }
}

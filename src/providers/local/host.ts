import { join } from "node:path";
import type { IsolationLevel, Logger } from "../../contract/index.ts";
import { SandboxerError } from "../../contract/index.ts";
import { Cgroup, type CgroupMounts } from "./cgroup.ts";
import type { SlotPool } from "./disk/pool.ts";
import { idBase } from "./disk/slot.ts";
import type { FifoPool } from "./fifo.ts";
import type { Launcher } from "./launcher.ts";
import type { SandboxNetworks } from "./network/network.ts";
import { SandboxDirectory } from "./record.ts";
import type { Runtime, RuntimeName } from "./runtime.ts";
import type { Skeleton } from "./skeleton.ts";

/** A level of isolation as this host gives it. */
export interface Level {
  readonly level: IsolationLevel;
  readonly runtime: Runtime;
  readonly notes: readonly string[];
}

/** What the verbs of the local provider share: this host as it was probed, and where things stand on it. */
export interface Host {
  readonly backend: string;
  readonly instance: string;
  readonly log: Logger;
  readonly failpoint: (name: string) => void;
  /** Directory of the sandboxes' own directories. */
  readonly sandboxes: string;
  readonly skeleton: Skeleton;
  readonly pool: SlotPool;
  readonly fifos: FifoPool;
  readonly launcher: Launcher;
  /** Directory of what lives as long as one command: see scratch.ts. */
  readonly scratch: string;
  readonly cgroups: CgroupMounts;
  readonly cpuCount: number;
  /** The best runtime for each level that works here, weakest level first. */
  readonly levels: readonly Level[];
  /** The same for sandboxes with egress, where that was seen to work as well. */
  readonly egressLevels: readonly Level[];
  /** Why a runtime that works cannot have egress. */
  readonly withoutEgress: ReadonlyMap<RuntimeName, string>;
  readonly network: SandboxNetworks;
  /** Every runtime on this host, chosen for new sandboxes or not: those that it made before are still its own. */
  readonly runtimes: ReadonlyMap<RuntimeName, Runtime>;
  /** Directory of the runtimes' state directories, one for each by its name. */
  readonly runtimeRoot: string;
  /** Why there is no level, where there is none. */
  readonly unavailable?: string;
  /** The user that all this runs as, where it is not root: sandboxes then have that one host user, no limits and no disks. */
  readonly rootless: { readonly uid: number; readonly gid: number } | undefined;
  /** Directory of compiled system call filters. */
  readonly seccompCache: string;
}

/** The host user that a user inside a slot's sandbox is. */
export function hostUser(host: Host, slotNumber: number, uid: number): number {
  return host.rootless?.uid ?? idBase(slotNumber) + uid;
}

/** Parent of the control groups of this data directory's sandboxes. */
export function cgroupParent(instance: string): string {
  return `/sand-boxer/${instance}`;
}

export function cgroupOf(host: Host, id: string): Cgroup {
  return new Cgroup(host.cgroups, `${cgroupParent(host.instance)}/${id}`, restMarker(host, id));
}

/** The file that is there while the sandbox is to stand still. native/process-shim.pl knows its name too. */
export function restMarker(host: Host, id: string): string {
  return join(host.sandboxes, id, "paused");
}

/** Directory of a sandbox's bundle, and of the files of its running commands. */
export function scratchOf(host: Host, id: string): string {
  return join(host.scratch, id);
}

/** What ids become part of paths and of programs' arguments: anything else is refused, wherever it comes from. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/;

/** The id of an exec or a process, as a part of a path. Throws `invalid_request` for what could lead elsewhere. */
export function checkedName(id: string, what: "exec" | "process"): string {
  if (NAME.test(id)) return id;
  throw new SandboxerError("invalid_request", `"${id}" is not the id of ${what === "exec" ? "an exec" : "a process"}`, {
    issues: [{ path: "id", message: "letters, digits, _ and -, at most 64" }],
  });
}

/** Throws `invalid_request` for an id that could lead elsewhere. */
export function directoryOf(host: Host, id: string): SandboxDirectory {
  if (!/^[a-z0-9]{1,64}$/.test(id)) {
    const message = "must be of lower-case letters and digits, at most 64";
    throw new SandboxerError("invalid_request", `sandbox id "${id}" ${message}`, { issues: [{ path: "id", message }] });
  }
  return new SandboxDirectory(host.sandboxes, id);
}

import { existsSync } from "node:fs";
import { join } from "node:path";
import type { SandboxSpec } from "../../contract/index.ts";
import { idBase, IDS_PER_SANDBOX, type Slot, WRITABLE } from "./disk/slot.ts";
import type { Host } from "./host.ts";
import type { SandboxNetwork } from "./network/network.ts";
import type { OciProcess } from "./oci-process.ts";
import { type SeccompProfile, seccompProfile } from "../shared/seccomp.ts";
import { filterFor } from "./seccomp-cache.ts";
import { type RuntimeName, RUNTIMES } from "./runtime.ts";
import { HELPERS, type Skeleton } from "./skeleton.ts";
import type { WorkspaceMount } from "./workspace.ts";

/**
 * The OCI bundle: the whole of a sandbox's confinement as one document.
 * Format: https://github.com/opencontainers/runtime-spec/blob/main/config.md
 */

interface Mount {
  destination: string;
  type: string;
  source: string;
  options: string[];
}

export interface OciConfig {
  ociVersion: string;
  root: { path: string; readonly: boolean };
  hostname: string;
  process: OciProcess;
  mounts: Mount[];
  annotations?: Record<string, string>;
  linux: {
    cgroupsPath?: string;
    namespaces: { type: string; path?: string }[];
    uidMappings?: IdMapping[];
    gidMappings?: IdMapping[];
    resources?: object;
    seccomp?: SeccompProfile;
    maskedPaths: string[];
    readonlyPaths: string[];
    rootfsPropagation: string;
  };
}

interface IdMapping {
  containerID: number;
  hostID: number;
  size: number;
}

export interface BundleInput {
  readonly spec: SandboxSpec;
  readonly slot: Slot;
  readonly skeleton: Skeleton;
  readonly cgroupsPath: string;
  /** PID 1: our init, which ends the sandbox at its `max_life`. */
  readonly init: OciProcess;
  /** Host CPUs it may run on, as a list such as "0,3". */
  readonly cpus: { readonly list: string; readonly count: number };
  readonly runtime: RuntimeName;
  readonly rootless: Host["rootless"];
  /** Given where it has egress; else it gets a network namespace of its own with nothing in it. */
  readonly network: SandboxNetwork | undefined;
  /** The system call filter as this runtime has compiled it before, in base64. */
  readonly compiledFilter: string | undefined;
  /** A directory of the host's that stands at the workspace; undefined: the sandbox's own disk does. */
  readonly workspace: WorkspaceMount | undefined;
}

const MiB = 1024 ** 2;

const NAMESPACES = ["pid", "mount", "network", "ipc", "uts", "cgroup", "user"];

/** Docker's list, and the rest of what a sandbox has no business with. */
const MASKED = [
  "/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/sched_debug", "/proc/scsi",
  "/proc/timer_list", "/proc/timer_stats", "/proc/kallsyms", "/proc/kmsg", "/proc/sysrq-trigger", "/sys/firmware", "/sys/devices/virtual/powercap",
]; // prettier-ignore

const READ_ONLY = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys"];

/** null, zero, full, random, urandom, tty, ptmx: what the runtime makes, and no other. */
const DEVICES = [[1, 3], [1, 5], [1, 7], [1, 8], [1, 9], [5, 0], [5, 2]]; // prettier-ignore

const SAFE = ["nosuid", "nodev"];

function bind(source: string, destination: string, ...options: string[]): Mount {
  return { destination, type: "bind", source, options: ["rbind", ...SAFE, ...options] };
}

function tmpfs(destination: string, bytes: number, inodes: number, mode: string, ...options: string[]): Mount {
  return {
    destination,
    type: "tmpfs",
    source: "tmpfs",
    options: [...SAFE, `size=${Math.floor(bytes / 1024)}k`, `nr_inodes=${inodes}`, `mode=${mode}`, ...options],
  };
}

function mounts({ skeleton, slot, spec, cpus, runtime, rootless, network, workspace }: BundleInput, owner: number): Mount[] {
  // gVisor makes its own /sys, and its tmpfs knows no owner.
  const gvisor = runtime === "runsc";
  const owned = gvisor ? [] : [`uid=${owner}`, `gid=${owner}`];
  const places = Object.entries(WRITABLE).filter(([name]) => workspace === undefined || name !== "workspace");
  const writable =
    slot.directory === undefined
      ? places.map(([name, path]) =>
          tmpfs(
            path,
            spec.resources.diskBytes / 3,
            Math.floor(spec.resources.inodes / 3),
            name === "vartmp" || gvisor ? "1777" : "755",
            ...owned,
          ),
        )
      : places.map(([name, path]) => bind(join(slot.directory ?? "", name), path));
  return [
    { destination: "/proc", type: "proc", source: "proc", options: ["nosuid", "noexec", "nodev"] },
    {
      destination: "/dev",
      type: "tmpfs",
      source: "tmpfs",
      options: ["nosuid", "noexec", "strictatime", "mode=755", "size=64k", "nr_inodes=64"],
    },
    {
      destination: "/dev/pts",
      type: "devpts",
      source: "devpts",
      options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", ...(rootless === undefined ? ["gid=5"] : []), "max=64"],
    },
    tmpfs("/dev/shm", 64 * MiB, 4096, "1777", "noexec"),
    tmpfs("/tmp", 256 * MiB, 16_384, "1777"),
    tmpfs("/run", 16 * MiB, 4096, gvisor ? "1777" : "755", ...owned),
    bind("/usr", "/usr", "ro"),
    ...skeleton.hostEtc
      .filter((name) => existsSync(join("/etc", name)))
      .map((name) => bind(join("/etc", name), join("/etc", name), "ro", "noexec")),
    // Over the host's certificates and the empty resolv.conf.
    ...(network?.mounts ?? []).map(({ source, destination }) => bind(source, destination, "ro", "noexec")),
    ...(gvisor ? [] : [bind(join(skeleton.cpus, String(cpus.count)), "/sys/devices/system/cpu", "ro", "noexec")]),
    bind(skeleton.helpers, HELPERS, "ro"),
    ...writable,
    ...(workspace === undefined ? [] : workspaceMounts(workspace, runtime)),
  ];
}

/** crun takes along nothing that is mounted in what it binds, whatever is asked: what hides something is bound once more by itself. */
function workspaceMounts({ source, readOnly, covers }: WorkspaceMount, runtime: RuntimeName): Mount[] {
  const over = runtime === "crun" ? covers : [];
  return [
    bind(source, WRITABLE.workspace, ...(readOnly ? ["ro"] : [])),
    ...over.map(({ name, fresh }) => bind(join(source, name), join(WRITABLE.workspace, name), ...(fresh ? [] : ["ro"]))),
  ];
}

function resources({ spec, cpus, runtime }: BundleInput): object {
  const { cpu, memoryBytes, pids } = spec.resources;
  const period = 100_000;
  return {
    devices: [
      { allow: false, access: "rwm" },
      ...DEVICES.map(([major, minor]) => ({ allow: true, type: "c", major, minor, access: "rw" })),
      { allow: true, type: "c", major: 136, access: "rw" },
    ],
    // Swap as memory: the limit counts both together, so there is none beyond it.
    memory: { limit: memoryBytes, swap: memoryBytes },
    cpu: { quota: Math.max(1000, Math.round(cpu * period)), period, cpus: cpus.list },
    pids: { limit: pids + RUNTIMES[runtime].ownThreads },
  };
}

/** The document for one sandbox; `owner` is the uid inside of its writable places. */
export function ociConfig(input: BundleInput, owner: number): OciConfig {
  const { rootless } = input;
  const uidMappings = [
    rootless === undefined
      ? { containerID: 0, hostID: idBase(input.slot.number), size: IDS_PER_SANDBOX }
      : { containerID: owner, hostID: rootless.uid, size: 1 },
  ];
  const gidMappings = [
    rootless === undefined
      ? { containerID: 0, hostID: idBase(input.slot.number), size: IDS_PER_SANDBOX }
      : { containerID: owner, hostID: rootless.gid, size: 1 },
  ];
  return {
    ociVersion: "1.0.2",
    root: { path: input.skeleton.root, readonly: true },
    hostname: input.spec.hostname,
    process: input.init,
    mounts: mounts(input, owner),
    // crun takes a compiled filter instead of compiling the same one again (2 ms): crun(1), run.oci.seccomp_bpf_data.
    ...(input.compiledFilter === undefined ? {} : { annotations: { "run.oci.seccomp_bpf_data": input.compiledFilter } }),
    linux: {
      namespaces: NAMESPACES.map((type) =>
        type === "network" && input.network?.namespace !== undefined ? { type, path: input.network.namespace } : { type },
      ),
      uidMappings,
      gidMappings,
      ...(rootless === undefined ? { cgroupsPath: input.cgroupsPath, resources: resources(input) } : {}),
      seccomp: seccompProfile(filterFor(input.spec)),
      maskedPaths: MASKED,
      readonlyPaths: READ_ONLY,
      rootfsPropagation: "private",
    },
  };
}

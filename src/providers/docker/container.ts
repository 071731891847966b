import type { SandboxSpec } from "../../contract/index.ts";
import { companionArgv } from "../shared/companion/companion.ts";
import { seccompProfile } from "../shared/seccomp.ts";
import { labelsOf, nameOf } from "./labels.ts";

/** Where commands and relative paths start. */
export const WORKDIR = "/workspace";
export const HOME = "/home/sandbox";
/** What commands run as unless the spec or the image names a user. */
export const SANDBOX_USER = "1000:1000";

const MIB = 1024 ** 2;
/** Docker's own list, and the rest of what a sandbox has no business with: the local backend's. */
const MASKED = [
  "/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/sched_debug", "/proc/scsi",
  "/proc/timer_list", "/proc/timer_stats", "/proc/kallsyms", "/proc/kmsg", "/proc/sysrq-trigger", "/sys/firmware", "/sys/devices/virtual/powercap",
]; // prettier-ignore
const READ_ONLY = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys"];
const PERIOD_US = 100_000;

export interface ContainerInput {
  readonly spec: SandboxSpec;
  readonly instance: string;
  /** Id of the prepared image. */
  readonly image: string;
  readonly user: string;
  readonly runtime: string | undefined;
  /** Whether the engine's storage holds a quota for each container. */
  readonly diskQuota: boolean;
  /** Lines of its /etc/hosts, as "name:address". */
  readonly serviceHosts: readonly string[];
}

/**
 * The whole of a container's confinement, as the engine takes it: no network, no capabilities, no new privileges, our system call filter,
 * limits, a first process that ends it at its max_life. Format: https://docs.docker.com/reference/api/engine/version/v1.41/
 */
export function containerConfig({ spec, instance, image, user, runtime, diskQuota, serviceHosts }: ContainerInput): object {
  const seconds = Math.max(1, Math.floor((spec.maxLifeAt - Date.now()) / 1000));
  return {
    name: nameOf(instance, spec.id),
    Image: image,
    Hostname: spec.hostname,
    Labels: labelsOf(spec, instance, user),
    // The first process belongs to root, without capabilities, so that what runs as the sandbox's user cannot end it.
    User: "0:0",
    WorkingDir: "/",
    Entrypoint: [],
    Cmd: companionArgv("init", { seconds }),
    Env: Object.entries({ HOME, ...spec.env }).map(([name, value]) => `${name}=${value}`),
    AttachStdin: false,
    AttachStdout: false,
    AttachStderr: false,
    StopTimeout: 0,
    HostConfig: {
      ...hardening(spec),
      NetworkMode: "none",
      ExtraHosts: serviceHosts,
      ...(diskQuota ? { StorageOpt: { size: String(spec.resources.diskBytes) } } : {}),
      ...(runtime === undefined ? {} : { Runtime: runtime }),
      LogConfig: { Type: "none", Config: {} },
    },
  };
}

/** What holds for every container, a sandbox's or a service's beside it. */
export function hardening({
  resources: { cpu, memoryBytes, diskBytes, pids },
  allowPtrace,
}: Pick<SandboxSpec, "resources" | "allowPtrace">): object {
  return {
    IpcMode: "private",
    PidMode: "",
    UTSMode: "",
    CgroupnsMode: "private",
    Privileged: false,
    CapDrop: ["ALL"],
    SecurityOpt: ["no-new-privileges:true", `seccomp=${JSON.stringify(seccompProfile({ ptrace: allowPtrace, arch: process.arch }))}`],
    MaskedPaths: MASKED,
    ReadonlyPaths: READ_ONLY,
    Memory: memoryBytes,
    // Swap as memory: the limit counts both together, so there is none beyond it.
    MemorySwap: memoryBytes,
    CpuPeriod: PERIOD_US,
    CpuQuota: Math.max(1000, Math.round(cpu * PERIOD_US)),
    PidsLimit: pids,
    ShmSize: 64 * MIB,
    Ulimits: [
      { Name: "nofile", Soft: 4096, Hard: 4096 },
      { Name: "core", Soft: 0, Hard: 0 },
      { Name: "fsize", Soft: diskBytes, Hard: diskBytes },
      { Name: "memlock", Soft: 64 * 1024, Hard: 64 * 1024 },
    ],
    RestartPolicy: { Name: "no" },
    Init: false,
    AutoRemove: false,
  };
}

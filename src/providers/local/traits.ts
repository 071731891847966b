import { availableParallelism, totalmem } from "node:os";
import type { Capability, Traits } from "../../contract/index.ts";
import { MAX_SLOTS } from "./disk/slot.ts";
import type { Host } from "./host.ts";

const NATIVE: readonly Capability[] = [
  "image.host", "resources.cpu_mem", "resources.disk", "resources.pids", "create.idempotent", "create.labels", "ttl.max", "net.block_all",
  "exec.stream", "exec.split_stderr", "exec.stdin", "exec.pty", "exec.background", "exec.reattach", "exec.user", "exec.timeout", "exec.cwd_env",
  "fs.rw", "fs.tree", "fs.watch", "fs.stream", "metrics", "ports.dynamic", "ports.signed",
]; // prettier-ignore

/** Where no socket leads in, a connection is a command that stands inside while it lasts. */
const EMULATED: readonly Capability[] = ["ports.http"];

/** Needs control groups. */
const LIMITED: readonly Capability[] = ["resources.cpu_mem", "resources.pids"];

/** With a network namespace that the boundary can be attached to: what passes is the boundary's to say. */
const EGRESS: readonly Capability[] = ["net.allow_domain", "net.allow_cidr", "net.l7", "net.update", "net.audit", "secrets.egress_inject"];

/** Needs root: a socket that is made in the sandbox's network namespace. */
const PORTS: readonly Capability[] = ["ports.http", "ports.tcp"];

/** Whether sandboxes can be stopped as a whole: that takes control groups. */
export function canRest({ cgroups, levels }: Host): boolean {
  return levels.length > 0 && (cgroups.version1.freezer !== undefined || cgroups.version2 !== undefined);
}

/** Whether what is written outlives the processes: with disks, and not in memory. */
export function canKeepDisk(host: Host): boolean {
  return canRest(host) && host.pool.disks;
}

/** What this host was seen to do. */
export function traitsOf(host: Host): Traits {
  const { levels, egressLevels, withoutEgress, rootless, unavailable } = host;
  const rests: Traits["capabilities"] = {
    ...(canRest(host) ? { "pause.memory": "native", "resume.auto": "emulated" } : {}),
    ...(canKeepDisk(host) ? { "pause.disk": "native" } : {}),
  };
  const capabilities =
    rootless === undefined
      ? [...NATIVE, ...PORTS, ...(egressLevels.length > 0 ? EGRESS : [])]
      : NATIVE.filter((capability) => !LIMITED.includes(capability));
  return {
    isolation: levels.map(({ level, runtime, notes }) => {
      const other = egressLevels.find((one) => one.level === level)?.runtime.name;
      const lacks = `nothing can be reached from inside at this level: ${withoutEgress.get(runtime.name) ?? ""}`;
      const egress = other === runtime.name ? [] : other === undefined ? [lacks] : [`sandboxes with egress run with ${other}`];
      return { level, runtime: `${runtime.name} ${runtime.version}`, notes: [...notes, ...egress] };
    }),
    capabilities:
      levels.length === 0
        ? {}
        : Object.fromEntries([
            ...EMULATED.map((capability) => [capability, "emulated"] as const),
            ...capabilities.map((capability) => [capability, "native"] as const),
            ...Object.entries(rests),
          ]),
    limits: {
      cpu: { min: 0.05, max: availableParallelism() },
      memory_bytes: { min: 16 * 1024 ** 2, max: totalmem() },
      disk_bytes: { min: 1024 ** 2 },
      pids: { min: 8 },
      concurrency_max: MAX_SLOTS,
    },
    ...(unavailable === undefined ? {} : { unavailable }),
  };
}

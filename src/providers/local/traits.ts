import { availableParallelism, release, totalmem } from "node:os";
import type { Capability, Traits } from "../../contract/index.ts";
import { MAX_SLOTS } from "./disk/slot.ts";
import type { Host } from "./host.ts";

const NATIVE: readonly Capability[] = [
  "image.host", "resources.cpu_mem", "resources.disk", "resources.pids", "create.idempotent", "create.labels", "ttl.max", "net.block_all",
  "exec.stream", "exec.split_stderr", "exec.stdin", "exec.pty", "exec.background", "exec.reattach", "exec.user", "exec.timeout", "exec.cwd_env",
  "fs.rw", "fs.tree", "fs.watch", "fs.stream", "metrics", "ports.dynamic", "ports.signed",
]; // prettier-ignore

/** Where no socket leads in, a connection is a command that stands inside while it lasts. A mirror is kept by whoever has the directory. */
const EMULATED: readonly Capability[] = ["ports.http", "workspace.mirror"];

/** Needs control groups. */
const LIMITED: readonly Capability[] = ["resources.cpu_mem", "resources.pids"];

/** With a network namespace that the boundary can be attached to: what passes is the boundary's to say. */
const EGRESS: readonly Capability[] = ["net.allow_domain", "net.allow_cidr", "net.l7", "net.update", "net.audit", "secrets.egress_inject"];

/** Needs root: a socket that is made in the sandbox's network namespace. */
const PORTS: readonly Capability[] = ["ports.http", "ports.tcp"];

/** Needs root, and mounts that are made of open directories: Linux 5.12. */
const MOUNTS: readonly Capability[] = atLeastLinux(5, 12) ? ["workspace.mount"] : [];

function atLeastLinux(major: number, minor: number): boolean {
  const [has = 0, of = 0] = release().split(".").map(Number);
  return has > major || (has === major && of >= minor);
}

/** What this host was seen to do. */
export function traitsOf({ levels, egressLevels, withoutEgress, rootless, unavailable }: Host): Traits {
  const capabilities =
    rootless === undefined
      ? [...NATIVE, ...PORTS, ...MOUNTS, ...(egressLevels.length > 0 ? EGRESS : [])]
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

import { availableParallelism, totalmem } from "node:os";
import type { Capability, Traits } from "../../contract/index.ts";
import { MAX_SLOTS } from "./disk/slot.ts";
import type { Host } from "./host.ts";

const NATIVE: readonly Capability[] = [
  "image.host", "resources.cpu_mem", "resources.disk", "resources.pids", "create.idempotent", "create.labels", "ttl.max", "net.block_all",
  "exec.stream", "exec.split_stderr", "exec.stdin", "exec.pty", "exec.background", "exec.reattach", "exec.user", "exec.timeout", "exec.cwd_env",
  "fs.rw", "fs.tree", "fs.watch", "fs.stream", "metrics", "ports.dynamic", "ports.signed",
]; // prettier-ignore

/** A connection is a command that stands inside while it lasts. */
const EMULATED: readonly Capability[] = ["ports.http"];

/** Needs control groups. */
const LIMITED: readonly Capability[] = ["resources.cpu_mem", "resources.pids"];

/** What this host was seen to do. */
export function traitsOf({ levels, rootless, unavailable }: Host): Traits {
  const capabilities = rootless === undefined ? NATIVE : NATIVE.filter((capability) => !LIMITED.includes(capability));
  return {
    isolation: levels.map(({ level, runtime, notes }) => ({ level, runtime: `${runtime.name} ${runtime.version}`, notes })),
    capabilities:
      levels.length === 0
        ? {}
        : Object.fromEntries([
            ...capabilities.map((capability) => [capability, "native"] as const),
            ...EMULATED.map((capability) => [capability, "emulated"] as const),
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

import { z } from "zod";

/** Everything a backend may be able to do. A profile that uses one requires it without saying so. */
export const CAPABILITIES = [
  "image.oci", "image.host", "image.build",
  "resources.cpu_mem", "resources.disk", "resources.gpu", "resources.pids",
  "create.idempotent", "create.labels", "create.region",
  "ttl.max", "ttl.idle", "ttl.extend",
  "net.block_all", "net.allow_cidr", "net.allow_domain", "net.l7", "net.update", "net.audit",
  "secrets.egress_inject",
  "exec.stream", "exec.split_stderr", "exec.stdin", "exec.pty", "exec.background", "exec.reattach", "exec.user", "exec.timeout", "exec.cwd_env",
  "fs.rw", "fs.tree", "fs.watch", "fs.stream",
  "ports.dynamic", "ports.http", "ports.tcp", "ports.signed",
  "pause.memory", "pause.disk", "resume.auto",
  "snapshot.disk", "snapshot.memory", "snapshot.keeps_running",
  "restore.new", "restore.in_place", "fork",
  "scope.attach", "workspace.mount", "workspace.mirror", "pool.warm",
  "services", "volumes", "nested_containers", "usage.metered", "metrics",
] as const; // prettier-ignore

export const Capability = z.enum(CAPABILITIES).meta({ id: "Capability" });
export type Capability = z.infer<typeof Capability>;

/** How a backend has a capability. `none` is the same as not being listed. */
export type Support = "native" | "emulated" | "none";

/**
 * Levels of isolation, weakest first. `process` separates workspaces and is no security boundary; `container` confines
 * untrusted code unless the kernel or the runtime has a flaw; `gvisor` meets system calls in a user-space kernel;
 * `microvm` has its own kernel.
 */
export const ISOLATION_LEVELS = ["process", "container", "gvisor", "microvm"] as const;
export const IsolationLevel = z.enum(ISOLATION_LEVELS).meta({ id: "IsolationLevel" });
export type IsolationLevel = z.infer<typeof IsolationLevel>;

/** Whether `level` is at least as strong as `floor`. */
export function meetsIsolation(level: IsolationLevel, floor: IsolationLevel): boolean {
  return ISOLATION_LEVELS.indexOf(level) >= ISOLATION_LEVELS.indexOf(floor);
}

/** Inclusive bounds; a missing side is unbounded. */
export interface Bounds {
  min?: number;
  max?: number;
}

/** What presence alone cannot say of a backend. Bytes, seconds and counts; a missing one is not limited. */
export interface Limits {
  ttl_seconds?: Bounds;
  cpu?: Bounds;
  memory_bytes?: Bounds;
  disk_bytes?: Bounds;
  pids?: Bounds;
  exec_seconds?: Bounds;
  fs_max_write_bytes?: number;
  create_rate_per_s?: number;
  concurrency_max?: number;
}

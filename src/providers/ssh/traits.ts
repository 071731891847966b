import type { Capability, Traits } from "../../contract/index.ts";
import type { HostFacts } from "./connection.ts";

/** The host's kernel has it. */
const NATIVE: readonly Capability[] = [
  "image.host",
  "resources.pids",
  "create.idempotent",
  "create.labels",
  "net.block_all",
  "exec.cwd_env",
];
/** The companion beside each command, the sandbox's first process, or fixed scripts have it. */
const EMULATED: readonly Capability[] = [
  "ttl.max", "exec.stream", "exec.split_stderr", "exec.stdin", "exec.timeout", "exec.pty", "exec.background", "exec.reattach",
  "fs.rw", "fs.tree", "fs.watch", "fs.stream", "ports.http", "ports.signed", "ports.dynamic",
]; // prettier-ignore

/** @param unlimited Why control groups do not hold there; undefined where they do. */
export function traitsOf(label: string, { kernel, machine, processors, memoryBytes }: HostFacts, unlimited: string | undefined): Traits {
  const notes = [
    `${label}: Linux ${kernel} ${machine}`,
    "a user, a directory and namespaces of its own, on the host's kernel with all its system calls: no boundary for code that nobody trusts",
    "no disk quota; one file is bounded by resources.disk",
    ...(unlimited === undefined ? [] : [`no limit of CPU and memory: ${unlimited}`]),
  ];
  return {
    isolation: [{ level: "process", runtime: "namespaces", notes }],
    capabilities: Object.fromEntries<"native" | "emulated">([
      ...NATIVE.map((capability) => [capability, "native"] as const),
      ...EMULATED.map((capability) => [capability, "emulated"] as const),
      ...(unlimited === undefined ? [["resources.cpu_mem", "native"] as const] : []),
    ]),
    selfHosted: true,
    limits: { cpu: { max: processors }, memory_bytes: { min: 16 * 1024 ** 2, max: memoryBytes } },
  };
}

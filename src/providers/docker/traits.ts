import type { Capability, Traits } from "../../contract/index.ts";
import type { EngineInfo } from "./sdk.ts";
import type { Settings } from "./options.ts";
import { promisedLevel } from "./verify.ts";

/** The engine has it. */
const NATIVE: readonly Capability[] = [
  "image.host", "image.oci", "resources.cpu_mem", "resources.pids", "create.idempotent", "net.block_all", "exec.user", "exec.cwd_env",
  "usage.metered", "services", "pause.memory",
]; // prettier-ignore
/** The companion inside, or fixed scripts, make up for what the engine lacks. */
const EMULATED: readonly Capability[] = [
  "ttl.max", "exec.stream", "exec.split_stderr", "exec.stdin", "exec.timeout", "exec.pty", "exec.background", "exec.reattach",
  "fs.rw", "fs.tree", "fs.watch", "fs.stream", "ports.http", "ports.signed", "ports.dynamic", "resume.auto",
]; // prettier-ignore

/** The runtime that sandboxes get. */
export function runtimeOf({ runtime }: Settings, info: EngineInfo): { name: string; path: string | undefined } {
  const name = runtime ?? info.DefaultRuntime ?? "runc";
  return { name, path: info.Runtimes?.[name]?.path };
}

export function traitsOf(settings: Settings, info: EngineInfo, version: string, diskQuota: boolean): Traits {
  const { name, path } = runtimeOf(settings, info);
  const level = promisedLevel(name, path);
  const notes = [
    `Docker ${version} with ${name}`,
    ...(level === "container" ? ["a container shares the engine's kernel"] : []),
    ...(diskQuota ? [] : [`no disk quota: storage driver ${info.Driver} of this engine has none; one file is bounded by resources.disk`]),
    ...((info.SecurityOptions ?? []).some((option) => option.startsWith("name=userns"))
      ? []
      : ["root inside is root of the host, without any capability"]),
  ];
  return {
    isolation: [{ level, runtime: name, notes }],
    capabilities: Object.fromEntries<"native" | "emulated">([
      ...NATIVE.map((capability) => [capability, "native"] as const),
      ...EMULATED.map((capability) => [capability, "emulated"] as const),
      ...(diskQuota ? [["resources.disk", "native"] as const] : []),
    ]),
    selfHosted: true,
    limits: { cpu: { max: info.NCPU }, memory_bytes: { min: 16 * 1024 ** 2, max: info.MemTotal } },
  };
}

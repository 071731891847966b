import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { availableParallelism, cpus, loadavg, release, totalmem } from "node:os";

/** What the figures were taken on. */
export interface Machine {
  readonly cores: number;
  readonly cpu: string;
  readonly memory_gib: number;
  readonly kernel: string;
  readonly system: string;
  readonly node: string;
  /** Versions of the OCI runtimes that are installed, by name. */
  readonly runtimes: Readonly<Record<string, string>>;
  readonly cgroups: string;
  /** Whether the cgroup 2 hierarchy was mounted with `favordynmods`, which makes the first fork after idle cheaper. */
  readonly favordynmods: boolean;
}

export function machine(): Machine {
  const mounts = readFileSync("/proc/self/mountinfo", "utf8").split("\n");
  const version1 = mounts.filter((line) => line.includes(" - cgroup ")).length;
  const version2 = mounts.find((line) => line.includes(" - cgroup2 "));
  return {
    cores: availableParallelism(),
    cpu: cpus()[0]?.model ?? "unknown",
    memory_gib: Math.round(totalmem() / 1024 ** 3),
    kernel: release(),
    system: systemName(),
    node: process.versions.node,
    runtimes: Object.fromEntries(["crun", "runc", "runsc"].flatMap((name) => versionOf(name))),
    cgroups: version1 === 0 ? "2" : version2 === undefined ? "1" : "1 and 2 (hybrid)",
    favordynmods: version2?.includes("favordynmods") ?? false,
  };
}

/** Load average over the last minute. */
export function load(): number {
  return Math.round((loadavg()[0] ?? 0) * 100) / 100;
}

function systemName(): string {
  if (!existsSync("/etc/os-release")) return "unknown";
  return /^PRETTY_NAME="?([^"\n]*)/m.exec(readFileSync("/etc/os-release", "utf8"))?.[1] ?? "unknown";
}

function versionOf(runtime: string): [string, string][] {
  try {
    const text = execFileSync(runtime, ["--version"], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
    return [[runtime, /version\s+(?:release-)?(\S+)/.exec(text)?.[1] ?? "unknown"]];
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return [];
    throw error;
  }
}

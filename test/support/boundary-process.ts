import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** Pids of the boundary's process of a data directory, by their command lines. */
export function boundaryPids(dataDir: string): number[] {
  return readdirSync("/proc").flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    try {
      const words = readFileSync(`/proc/${name}/cmdline`, "utf8").split("\0");
      return words.includes(dataDir) && words.some((word) => /\/boundary\.[jt]s$/.test(word)) ? [Number(name)] : [];
    } catch (thrown) {
      if (thrown instanceof Error && "code" in thrown && (thrown.code === "ENOENT" || thrown.code === "ESRCH")) return [];
      throw thrown;
    }
  });
}

/** Ids of the sessions that a boundary keeps on disk. */
export function sessionsOnDisk(dataDir: string): string[] {
  try {
    return readdirSync(join(dataDir, "boundary", "sessions")).map((name) => name.replace(/\.json$/, "")).sort(); // prettier-ignore
  } catch (thrown) {
    if (thrown instanceof Error && "code" in thrown && thrown.code === "ENOENT") return [];
    throw thrown;
  }
}

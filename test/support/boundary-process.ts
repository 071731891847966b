import { readdirSync, readFileSync } from "node:fs";

/** The pid of the boundary of a data directory, by looking at the host's processes; throws where there is not exactly one. */
export function boundaryProcess(dataDir: string): number {
  const found = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      const words = commandLine(pid);
      return words.some((word) => /\/boundary\.(js|ts)$/.test(word)) && words.some((word) => word.startsWith(dataDir));
    });
  if (found.length !== 1) throw new Error(`${found.length} boundaries serve ${dataDir}`);
  return Number(found[0]);
}

function commandLine(pid: string): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
  } catch (thrown) {
    // Ended between the two looks.
    if (thrown instanceof Error && "code" in thrown) return [];
    throw thrown;
  }
}

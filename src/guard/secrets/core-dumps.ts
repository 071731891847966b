import { writeFileSync } from "node:fs";

/**
 * Leaves memory out of core dumps of this process, and of those it starts: the kernel then writes headers and registers only. No
 * rlimit can be set from here, and a crash of Node would else write every value to the disk. Answers whether it could.
 */
export function withholdCoreDumps(): boolean {
  try {
    writeFileSync("/proc/self/coredump_filter", "0");
    return true;
  } catch (thrown) {
    // A /proc that is not mounted or not ours to write; the caller says so.
    if (thrown instanceof Error && "errno" in thrown) return false;
    throw thrown;
  }
}

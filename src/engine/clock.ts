import { readFileSync } from "node:fs";

/** Two clocks: the wall, which people set and NTP steps, and one that only ever counts. */
export interface Clock {
  /** Epoch milliseconds. */
  now(): number;
  /** Milliseconds since boot, sleep included; never set. */
  uptime(): number;
  /** Milliseconds of a clock that only counts, asked at little cost: for waits within this process. */
  ticks(): number;
  /** Names this boot: uptime means nothing across two. */
  readonly bootId: string;
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8").trim();
  } catch (thrown) {
    if (thrown instanceof Error && "code" in thrown && (thrown.code === "ENOENT" || thrown.code === "EACCES")) return undefined;
    throw thrown;
  }
}

/** The machine's clocks. Without /proc, uptime starts with this process and the boot has no name. */
export function systemClock(): Clock {
  return {
    now: Date.now,
    uptime() {
      const seconds = read("/proc/uptime")?.split(" ")[0];
      return seconds === undefined ? performance.now() : Number(seconds) * 1000;
    },
    ticks: () => performance.now(),
    bootId: read("/proc/sys/kernel/random/boot_id") ?? "",
  };
}

const FIRST_MS = 1000;
const LONGEST_MS = 15 * 60_000;
/** More patience than this is not granted, however politely it is asked for. */
const LONGEST_ASKED_MS = 3600_000;

/** No wait is longer: one that is was made before the clock was set back. */
export const LONGEST_WAIT_MS = LONGEST_ASKED_MS;

/** Milliseconds until the next attempt after so many failures: doubling from 1 s to 15 min, give or take a half, and no less than was asked for. */
export function backoff(failures: number, askedMs: number | null, random: () => number = Math.random): number {
  const doubled = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(failures - 1, 30));
  return Math.max(Math.round(doubled * (0.5 + random())), Math.min(askedMs ?? 0, LONGEST_ASKED_MS));
}

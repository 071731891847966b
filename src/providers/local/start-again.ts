/** How long a command is tried to be started. A freeze takes under 1 ms; many one after another may follow. */
const TRY_FOR_MS = 2_000;
const LONGEST_PAUSE_MS = 50;

/**
 * A runtime refuses to start a command in a sandbox that stands still, and for a moment it does whenever the tree of another command
 * is ended, by this process or by a shim. Nothing was started then, so the start is tried again. `next` waits, longer each time, and
 * answers false when it has been long enough.
 */
export function startAgain(): { next(): Promise<boolean> } {
  const deadline = Date.now() + TRY_FOR_MS;
  let pause = 1;
  return {
    async next() {
      if (Date.now() + pause > deadline) return false;
      await new Promise((resolve) => setTimeout(resolve, pause));
      pause = Math.min(LONGEST_PAUSE_MS, pause * 2);
      return true;
    },
  };
}

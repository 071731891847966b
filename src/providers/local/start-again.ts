/** How long a command is tried to be started. A freeze takes under 1 ms; many one after another may follow. */
const TRY_FOR_MS = 2_000;
/** And how often at least: where many start at once beside a low limit of processes, each try may take a second on a busy machine. */
const TRIES = 10;
const LONGEST_PAUSE_MS = 50;

/**
 * A runtime refuses to start a command in a sandbox that stands still, and for a moment it does whenever the tree of another command
 * is ended, by this process or by a shim; and it fails where its own threads, beside those of others that start, pass the sandbox's limit of
 * processes. Nothing was started then, so the start is tried again. `next` waits, longer each time, and
 * answers false when it has been long enough.
 */
export function startAgain(): { next(): Promise<boolean> } {
  const deadline = Date.now() + TRY_FOR_MS;
  let pause = 1;
  let tries = 1;
  return {
    async next() {
      if (Date.now() + pause > deadline && tries >= TRIES) return false;
      tries += 1;
      // Not all at the same moment again.
      await new Promise((resolve) => setTimeout(resolve, pause * (0.5 + Math.random())));
      pause = Math.min(LONGEST_PAUSE_MS, pause * 2);
      return true;
    },
  };
}

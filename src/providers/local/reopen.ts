import { closeSync, constants, openSync } from "node:fs";

/** A descriptor that names a file and opens nothing: open(2). */
export const O_PATH: number = 0o10000000;

/** How long a program that opens its input again after the input's end may wait for that. */
const LONGEST_MS = 100;

/**
 * A FIFO has no writer once its input has ended, and whoever opens it then waits for one: `cat /dev/stdin` would hang. A pipe lets it in, and
 * so does this: again and again it opens the FIFO for writing and closes it, which lets those in who wait. `name` is a descriptor of
 * {@link O_PATH}, which is closed with the answered function. Ends by itself when nobody holds the FIFO any more.
 */
export function admitReaders(name: number): () => void {
  let timer: NodeJS.Timeout | undefined;
  const admit = (pause: number): void => {
    try {
      closeSync(openSync(`/proc/self/fd/${name}`, constants.O_WRONLY | constants.O_NONBLOCK));
    } catch (error) {
      // No reader is left, so none can come by this way.
      if (error instanceof Error && "code" in error && error.code === "ENXIO") return;
      throw error;
    }
    timer = setTimeout(admit, pause, Math.min(LONGEST_MS, pause * 2));
    timer.unref();
  };
  admit(5);
  return () => clearTimeout(timer);
}

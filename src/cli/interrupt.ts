import { constants } from "node:os";

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** Exit code of a program that a signal ended, as shells have it. */
export function signalCode(name: string): number {
  return 128 + (constants.signals[name as NodeJS.Signals] ?? 0);
}

/** What SIGINT, SIGTERM, SIGHUP and a vanished reader do while there is something to clean up. */
export interface Interrupt {
  /** Aborted by the first signal. */
  readonly signal: AbortSignal;
  /** The name of the first signal, once it came. */
  readonly by: NodeJS.Signals | undefined;
  /** Back to the signals' own effects. */
  [Symbol.dispose](): void;
}

/**
 * The first signal aborts `signal`, and the command cleans up in its own time. `again` runs on every later one; where
 * it is not given, the second ends the program at once. With `reader: false` a vanished reader changes nothing. Signals closer together than 50 ms are one: a terminal's
 * Ctrl-C and a supervisor's kill often come as a pair.
 */
export function interruptible({ again, reader = true }: { again?: (name: NodeJS.Signals) => void; reader?: boolean } = {}): Interrupt {
  const controller = new AbortController();
  let by: NodeJS.Signals | undefined;
  let firstAt = 0;
  const listener = (name: NodeJS.Signals) => {
    if (by === undefined) {
      by = name;
      firstAt = performance.now();
      controller.abort();
    } else if (performance.now() - firstAt > 50) {
      if (again === undefined) process.exit(signalCode(name));
      again(name);
    }
  };
  // Not the signal itself: to listen for SIGPIPE would make it come for every connection that breaks.
  const readerGone = (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE" && reader) listener("SIGPIPE");
  };
  for (const name of SIGNALS) process.on(name, listener);
  process.stdout.on("error", readerGone);
  return {
    signal: controller.signal,
    get by() {
      return by;
    },
    [Symbol.dispose]() {
      for (const name of SIGNALS) process.off(name, listener);
      process.stdout.off("error", readerGone);
    },
  };
}

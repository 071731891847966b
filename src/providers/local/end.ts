import { constants } from "node:os";
import type { End } from "../../contract/index.ts";

/** How a command ended, read from what the runtime's own process answered. */

const SIGNAL_NAMES = new Map(Object.entries(constants.signals).map(([name, number]) => [number, name]));

/** OCI runtimes report a death by signal n as a shell does: 128 + n. */
export const SIGNAL_BASE = 128;

export interface Seen {
  readonly code: number | null;
  readonly timedOut: boolean;
  readonly truncated: boolean;
  readonly oomKilled: boolean;
  readonly sandboxAlive: boolean;
}

/** `code` is null where the runtime's own process was killed: how the command ended, nobody saw. */
export function endOf({ code, timedOut, truncated, oomKilled, sandboxAlive }: Seen): End {
  const end = (outcome: End["outcome"], exitCode: number | null, signal: string | null): End => ({
    outcome,
    exitCode,
    signal,
    oomKilled,
    truncated,
  });
  if (timedOut) return end("timed_out", null, "SIGKILL");
  if (code === null) return end("unknown", null, null);
  if (code === SIGNAL_BASE + constants.signals.SIGKILL && !sandboxAlive) return end("killed", null, "SIGKILL");
  const signal = SIGNAL_NAMES.get(code - SIGNAL_BASE);
  return signal === undefined ? end("exited", code, null) : end("signaled", code, signal);
}

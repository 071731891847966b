import { SandboxerError } from "../contract/errors.ts";
import type { Ending, Sandbox } from "../sdk/index.ts";
import { signalCode } from "./interrupt.ts";
import { note } from "./print.ts";

const TIMED_OUT = 124;
const KILLED = 137;

/**
 * The command's own exit code; 124 where its time ran out, 137 where it was killed, 128+n for signal n. Where nobody
 * saw how it ended it throws: that is a failure of ours and never an exit code.
 */
export function exitCodeOf(ending: Ending): number {
  switch (ending.outcome) {
    case "exited":
      if (ending.exitCode !== null) return ending.exitCode;
      break;
    case "signaled":
      if (ending.exitCode !== null) return ending.exitCode;
      if (ending.signal !== null) return signalCode(ending.signal);
      break;
    case "timed_out":
      return TIMED_OUT;
    case "killed":
      return KILLED;
    case "unknown":
      break;
  }
  throw new SandboxerError("outcome_unknown", "nobody saw how the command ended: it may have run", {
    phase: "exec",
    hint: "Look at the sandbox with 'sand-boxer show ID' and 'sand-boxer events --sandbox ID' before running it again: it may have run.",
  });
}

/** Says on standard error what an exit code cannot: a timeout, a kill and its reason, memory, output that was cut. */
export async function explain(ending: Ending, sandbox: Sandbox, timeout: string | undefined): Promise<void> {
  if (ending.truncated) note("the output was longer than its cap; the rest was dropped");
  if (ending.outcome === "timed_out")
    note(`the command ran longer than its timeout${timeout === undefined ? "" : ` (${timeout})`} and was killed; exit ${TIMED_OUT}`);
  if (ending.oomKilled) note("the kernel killed a process in the sandbox for want of memory; give it more with --memory");
  if (ending.outcome === "killed" && !ending.oomKilled) {
    const { state, termination } = await sandbox.refresh();
    const why =
      termination === null
        ? `the sandbox is ${state}`
        : `the sandbox ended: ${termination.reason}${termination.detail === null ? "" : ` (${termination.detail})`}`;
    note(`the command was killed; ${why}; exit ${KILLED}`);
  }
}

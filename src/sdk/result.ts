import { SandboxerError } from "../contract/errors.ts";
import type { Outcome } from "../contract/exec.ts";

/** How a command ended. A non-zero exit code is a result, not an error. */
export interface Ending {
  /** `exited`, `signaled`, `timed_out`, `killed`; `unknown` where the backend lost sight of it, which is never exit 0. */
  readonly outcome: Outcome;
  /** null where there is none: timed out, killed or unknown. */
  readonly exitCode: number | null;
  /** Name of the signal that ended it ("SIGTERM"). */
  readonly signal: string | null;
  /** The kernel killed something in the sandbox for want of memory while it ran. */
  readonly oomKilled: boolean;
  /** Output beyond the cap was dropped. */
  readonly truncated: boolean;
}

/** The wire's fields of an ending. */
export interface WireEnding {
  outcome: Outcome;
  exit_code: number | null;
  signal: string | null;
  oom_killed: boolean;
  truncated: boolean;
}

export function endingOf(wire: WireEnding): Ending {
  return { outcome: wire.outcome, exitCode: wire.exit_code, signal: wire.signal, oomKilled: wire.oom_killed, truncated: wire.truncated };
}

/** A finished exec. */
export class ExecResult implements Ending {
  readonly execId: string;
  readonly outcome: Outcome;
  readonly exitCode: number | null;
  readonly signal: string | null;
  readonly oomKilled: boolean;
  readonly truncated: boolean;
  /** As the server measured it, in milliseconds. */
  readonly durationMs: number;
  readonly #output: { stdout: Uint8Array; stderr: Uint8Array } | undefined;

  constructor(execId: string, ending: Ending, durationMs: number, output: { stdout: Uint8Array; stderr: Uint8Array } | undefined) {
    this.execId = execId;
    this.outcome = ending.outcome;
    this.exitCode = ending.exitCode;
    this.signal = ending.signal;
    this.oomKilled = ending.oomKilled;
    this.truncated = ending.truncated;
    this.durationMs = durationMs;
    this.#output = output;
  }

  /** Whether it exited with code 0. */
  get ok(): boolean {
    return this.outcome === "exited" && this.exitCode === 0;
  }

  /** Standard output as UTF-8 text; bytes that are not become U+FFFD. Throws `wrong_state` where it was iterated instead. */
  get stdout(): string {
    return new TextDecoder().decode(this.stdoutBytes);
  }

  get stderr(): string {
    return new TextDecoder().decode(this.stderrBytes);
  }

  /** Standard output, byte for byte. */
  get stdoutBytes(): Uint8Array {
    return this.#kept().stdout;
  }

  get stderrBytes(): Uint8Array {
    return this.#kept().stderr;
  }

  #kept(): { stdout: Uint8Array; stderr: Uint8Array } {
    if (this.#output === undefined) {
      throw new SandboxerError("wrong_state", "the output of this exec was iterated, and is not kept a second time", {
        hint: "Await the exec without iterating it, or collect while iterating.",
      });
    }
    return this.#output;
  }
}

import type { Op, Ref, SandboxerError } from "../../../contract/index.ts";

/** A program that an agent starts: the companion, in practice. */
export interface Program {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly user: string | undefined;
  /** Names it in later calls. */
  readonly tag: string;
  /** After which the agent ends the program itself, though nothing that it started; 0 for never. */
  readonly timeoutMs: number;
}

/** What comes of a program: its output, and its end where the agent tells it before the stream ends. */
export type AgentEvent =
  | { readonly type: "stdout" | "stderr"; readonly data: Uint8Array }
  | { readonly type: "end" }
  /** A sign of life. */
  | { readonly type: "alive" };

/** What a backend has to start programs inside one sandbox with: its own agent there, an exec of an engine, a channel of SSH. For one job. */
export interface Agent {
  /** That programs run as unless they name one; undefined for the image's own. */
  readonly user: string | undefined;
  /** Where the count of processes that were killed for want of memory is the sandbox's own: its kernel, or its control group. */
  readonly oom: "kernel" | "cgroup" | undefined;
  /** Whether `send` reaches a program that nobody listens to any more, from any process of ours. Else one that is kept gets a FIFO. */
  readonly keepsInput: boolean;
  /** Where commands and relative paths start. */
  readonly workdir: string;
  /** The name to run as for a user that was asked for. Throws `invalid_request` for one that there is not, `capability_unsupported`. */
  userFor(asked: string | undefined, op: Op): Promise<string | undefined>;
  /** Its events go on until it ends or the signal aborts, which may leave it running. */
  start(program: Program, signal: AbortSignal): AsyncIterable<AgentEvent>;
  /** To the standard input of the program under that tag. Without `keepsInput` only while it is listened to, in this process. */
  send(tag: string, bytes: Uint8Array, signal: AbortSignal): Promise<void>;
  /** The same of pieces that belong together, none of which is copied; it is then used for a program's frames. */
  sendPieces?(tag: string, pieces: readonly Uint8Array[], signal: AbortSignal): Promise<void>;
  /** Resolves with false where no such program runs any more. */
  signal(tag: string, name: "SIGTERM" | "SIGKILL", signal: AbortSignal): Promise<boolean>;
  /** Whether a program under that tag runs. */
  runs(tag: string, signal: AbortSignal): Promise<boolean>;
  /**
   * What a call threw, as our error.
   *
   * @param user That the call was made as.
   */
  explain(thrown: unknown, signal: AbortSignal, user?: string): Promise<SandboxerError>;
}

export interface Agents {
  /**
   * The agent of a sandbox that runs.
   *
   * @throws SandboxerError `sandbox_not_found`, `wrong_state` where it is paused, `backend_*`.
   */
  of(ref: Ref, op: Op, phase: string): Promise<Agent>;
}

import type { PtySize } from "./exec.ts";
import type { Command, End, Op, Ref } from "./provider.ts";

/** A background process: it and its journal outlive this process. */
export interface Processes {
  /** Safe to repeat on `command.id`. Returns once it runs. */
  start(ref: Ref, command: Command, options: { pty?: PtySize; stdin: "none" | "pipe"; maxOutputBytes: number }, op: Op): Promise<void>;
  /** Those that were started and not removed with the sandbox, ended ones too. */
  list(ref: Ref, op: Op): Promise<ProcessStatus[]>;
  status(ref: Ref, id: string, op: Op): Promise<ProcessStatus | "absent">;
  /** From a journal offset. With `follow` it goes on until the process ends; the last item is then `ended`. */
  output(ref: Ref, id: string, from: { offset: number; follow: boolean }, op: Op): AsyncIterable<OutputChunk>;
  /** Sends a signal by name ("SIGTERM") to the process's whole tree. */
  signal(ref: Ref, id: string, signal: string, op: Op): Promise<void>;
  /** Writes to standard input or the terminal. Throws `wrong_state` where it has none or it was closed. */
  write(ref: Ref, id: string, data: Uint8Array, op: Op): Promise<void>;
  closeStdin(ref: Ref, id: string, op: Op): Promise<void>;
  resize(ref: Ref, id: string, size: PtySize, op: Op): Promise<void>;
}

export interface ProcessStatus {
  readonly id: string;
  readonly running: boolean;
  readonly startedAt: number;
  readonly endedAt: number | null;
  readonly end: End | null;
  readonly outputBytes: number;
}

/** `offset` is where to go on from after this chunk. */
export type OutputChunk =
  | { readonly type: "stdout" | "stderr"; readonly data: Uint8Array; readonly offset: number }
  | ({ readonly type: "ended"; readonly offset: number } & End);

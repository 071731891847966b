import type { PtySize } from "../contract/exec.ts";
import type { Ending } from "./result.ts";

export interface AttachOptions {
  /** Where in the journal to begin; 0 unless given. */
  offset?: number;
}

/** What an attachment yields; the last is `ended`. */
export type AttachEvent = { readonly type: "stdout" | "stderr"; readonly data: Uint8Array } | ({ readonly type: "ended" } & Ending);

/**
 * A live connection to a process. Iterate it once for the output; it throws where the connection broke before the
 * process was seen to end. Input, resizes and signals arrive in the order they were made.
 */
export interface Attachment extends AsyncIterable<AttachEvent> {
  /** Resolves when it may take more: await it between large writes. */
  write(data: string | Uint8Array): Promise<void>;
  closeStdin(): Promise<void>;
  resize(size: PtySize): Promise<void>;
  signal(name: string): Promise<void>;
  /** Lets go; the process runs on. An iteration under way ends. */
  detach(): void;
}

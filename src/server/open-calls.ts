import { SandboxerError } from "../contract/index.ts";

/** How a call ends when the server closes: a `follower` (a stream without an end of its own) at once, `work` after the grace time. */
export type CallKind = "work" | "follower";

/** The calls under way, so that closing can end them in order. */
export class OpenCalls {
  #closing = false;
  #count = 0;
  readonly #cancels = new Map<AbortController, CallKind>();
  #whenIdle: (() => void)[] = [];

  get closing(): boolean {
    return this.#closing;
  }

  /** Connections' requests that have not been answered to the end. */
  get count(): number {
    return this.#count;
  }

  enter(): void {
    this.#count++;
  }

  leave(): void {
    this.#count--;
    if (this.#count > 0) return;
    for (const resolve of this.#whenIdle.splice(0)) resolve();
  }

  register(cancel: AbortController, kind: CallKind): void {
    if (this.#closing && kind === "follower") cancel.abort(closingError());
    else this.#cancels.set(cancel, kind);
  }

  forget(cancel: AbortController): void {
    this.#cancels.delete(cancel);
  }

  /** Ends the followers at once, waits for the work as long as `graceMs`, then ends that too. */
  async close(graceMs: number): Promise<void> {
    this.#closing = true;
    this.#abort((kind) => kind === "follower");
    await this.#idle(graceMs);
    this.#abort(() => true);
    // What was cut off still has its last event to write.
    await this.#idle(Math.min(graceMs, 1000));
  }

  #abort(which: (kind: CallKind) => boolean): void {
    for (const [cancel, kind] of this.#cancels) if (which(kind)) cancel.abort(closingError());
  }

  async #idle(limitMs: number): Promise<void> {
    if (this.#count === 0) return;
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.#whenIdle.push(resolve);
      timer = setTimeout(resolve, limitMs);
    });
    clearTimeout(timer);
  }
}

function closingError(): SandboxerError {
  return new SandboxerError("shutting_down", "the server is closing");
}

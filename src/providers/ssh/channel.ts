import { SandboxerError } from "../../contract/index.ts";

export type ChannelEvent =
  | { readonly type: "stdout" | "stderr"; readonly data: Buffer }
  /** The status as wait(2) has it, once all output has come. */
  | { readonly type: "end"; readonly status: number };

/** What a channel is carried by. */
export interface Carrier {
  send(channel: number, kind: "I" | "E", pieces: readonly Uint8Array[]): Promise<void>;
  forget(channel: number): void;
}

/** One piece of work at a host: its output as it comes, and its input. Read by one reader. */
export class Channel implements AsyncIterable<ChannelEvent> {
  readonly #number: number;
  readonly #carrier: Carrier;
  readonly #events: ChannelEvent[] = [];
  #failure: SandboxerError | undefined;
  #left = false;
  #over = false;
  #wake: (() => void) | undefined;

  constructor(number: number, carrier: Carrier) {
    this.#number = number;
    this.#carrier = carrier;
  }

  /** Whether there may be more of it. */
  get isOpen(): boolean {
    return !this.#over && !this.#left && this.#failure === undefined;
  }

  /** From the connection: what came for it. */
  push(event: ChannelEvent): void {
    if (this.#left) return;
    if (event.type === "end") this.#over = true;
    this.#events.push(event);
    this.#wake?.();
  }

  /** From the connection: it has broken. What came before is still read. */
  fail(failure: SandboxerError): void {
    if (this.#over) return;
    this.#failure ??= failure;
    this.#wake?.();
  }

  /** Ends without an `end` where somebody left it. Throws `backend_unavailable` where the connection broke. */
  async *[Symbol.asyncIterator](): AsyncGenerator<ChannelEvent> {
    for (;;) {
      const event = this.#events.shift();
      if (event !== undefined) {
        yield event;
        if (event.type === "end") return;
      } else if (this.#left) return;
      else if (this.#failure !== undefined) throw this.#failure;
      else await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  /** Resolves when it is on its way. */
  async write(pieces: readonly Uint8Array[]): Promise<void> {
    if (!this.isOpen) throw this.#failure ?? new SandboxerError("wrong_state", "the command has ended");
    await this.#carrier.send(this.#number, "I", pieces);
  }

  /** No more input, which ends a command and all that it began. */
  end(): void {
    if (this.isOpen) this.#carrier.send(this.#number, "E", []).catch(() => undefined);
  }

  /** Nobody reads on; its input ends. */
  leave(): void {
    this.end();
    this.#left = true;
    this.#events.length = 0;
    this.#carrier.forget(this.#number);
    this.#wake?.();
  }
}

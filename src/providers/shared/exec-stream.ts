import { Duplex } from "node:stream";
import type { ExecEvent } from "../../contract/index.ts";

type Exited = Extract<ExecEvent, { type: "exited" }>;

/** A command's standard input and output as one stream. The command must say one byte of its own when it is joined with the far side. */
export class ExecStream extends Duplex {
  readonly #output: AsyncIterator<ExecEvent>;
  readonly #input = new Input();
  readonly #stop: AbortController;
  #reading = false;

  /**
   * @param start Starts the command with this standard input.
   * @param stop Aborted when the stream is destroyed: ends the command.
   */
  constructor(start: (stdin: AsyncIterable<Uint8Array>) => AsyncIterable<ExecEvent>, stop: AbortController) {
    super();
    this.#stop = stop;
    this.#output = start(this.#input.stream())[Symbol.asyncIterator]();
  }

  /** Waits for the command's own byte. Resolves with how it ended, where it ended before. */
  async open(): Promise<Exited | undefined> {
    for (;;) {
      const { done, value } = await this.#output.next();
      if (done === true) throw new Error("the command's output ended before its end was seen");
      if (value.type === "exited") return value;
      if (value.type !== "stdout" || value.data.length === 0) continue;
      if (value.data.length > 1) this.push(value.data.subarray(1));
      return undefined;
    }
  }

  override _read(): void {
    if (this.#reading) return;
    this.#reading = true;
    this.#pull().then(
      () => (this.#reading = false),
      (thrown: unknown) => this.destroy(thrown instanceof Error ? thrown : new Error(String(thrown))),
    );
  }

  override _write(chunk: Uint8Array, _encoding: BufferEncoding, taken: () => void): void {
    this.#input.put(chunk, taken);
  }

  override _final(ended: () => void): void {
    this.#input.end();
    ended();
  }

  override _destroy(error: Error | null, destroyed: (error: Error | null) => void): void {
    this.#input.end();
    this.#stop.abort(new DOMException("the connection was closed", "AbortError"));
    void this.#letGo(() => destroyed(error));
  }

  async #letGo(gone: () => void): Promise<void> {
    // The abort is what ends the command, and how that turns out is of no interest any more.
    await Promise.allSettled([this.#output.return?.()]);
    gone();
  }

  /** Pushes one piece, or the end. */
  async #pull(): Promise<void> {
    for (;;) {
      const { done, value } = await this.#output.next();
      if (done === true || value.type === "exited") return void this.push(null);
      if (value.type !== "stdout" || value.data.length === 0) continue;
      this.#reading = false;
      this.push(value.data);
      return;
    }
  }
}

/** What is written to the stream, as a command's standard input: one piece at a time. */
class Input {
  #piece: { data: Uint8Array; taken: () => void } | undefined;
  #ended = false;
  #wake: (() => void) | undefined;

  put(data: Uint8Array, taken: () => void): void {
    if (this.#ended) return taken();
    this.#piece = { data, taken };
    this.#wake?.();
  }

  end(): void {
    this.#ended = true;
    this.#wake?.();
  }

  async *stream(): AsyncGenerator<Uint8Array> {
    for (;;) {
      const piece = this.#piece;
      if (piece !== undefined) {
        this.#piece = undefined;
        yield piece.data;
        piece.taken();
      } else if (this.#ended) {
        return;
      } else {
        await new Promise<void>((resolve) => (this.#wake = resolve));
      }
    }
  }
}

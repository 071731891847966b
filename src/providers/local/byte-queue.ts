import type { Readable } from "node:stream";

/**
 * Two byte streams as one async sequence, in the order they arrive, with back-pressure: when this much waits to be taken, the
 * command's own writes block.
 */
const HIGH_WATER_BYTES = 256 * 1024;

export interface Chunk {
  readonly stream: "stdout" | "stderr";
  readonly data: Uint8Array;
}

export class ByteQueue {
  readonly #waiting: Chunk[] = [];
  readonly #sources: Readable[] = [];
  #bytes = 0;
  #open = 0;
  #arrivals = 0;
  #wake: (() => void) | undefined;

  add(stream: Chunk["stream"], source: Readable): void {
    this.#sources.push(source);
    this.#open++;
    source.on("data", (data: Buffer) => {
      this.#waiting.push({ stream, data });
      this.#bytes += data.length;
      this.#arrivals++;
      if (this.#bytes >= HIGH_WATER_BYTES) for (const each of this.#sources) each.pause();
      this.#signal();
    });
    const close = (): void => {
      this.#open--;
      this.#signal();
    };
    source.once("close", close);
    // A broken pipe ends the stream; what came before it counts.
    source.on("error", () => source.destroy());
  }

  #signal(): void {
    this.#wake?.();
    this.#wake = undefined;
  }

  take(): Chunk | undefined {
    const chunk = this.#waiting.shift();
    if (chunk === undefined) return undefined;
    this.#bytes -= chunk.data.length;
    if (this.#bytes < HIGH_WATER_BYTES / 2) for (const source of this.#sources) if (source.isPaused()) source.resume();
    return chunk;
  }

  get ended(): boolean {
    return this.#open === 0 && this.#waiting.length === 0;
  }

  /** Resolves when something arrives or a stream ends. */
  arrival(): Promise<void> {
    if (this.#waiting.length > 0 || this.#open === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  /** Wakes whoever waits in {@link arrival}. */
  interrupt(): void {
    this.#signal();
  }

  /**
   * For when the command has ended but something it left behind holds the other end: takes in what is in the pipes now.
   * Resolves after two looks at the pipes that brought nothing.
   */
  async settle(): Promise<void> {
    for (let quiet = 0; quiet < 2 && this.#open > 0 && this.#waiting.length === 0;) {
      const before = this.#arrivals;
      await new Promise((resolve) => setImmediate(resolve));
      quiet = this.#arrivals === before ? quiet + 1 : 0;
    }
  }

  close(): void {
    for (const source of this.#sources) source.destroy();
  }
}

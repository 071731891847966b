import { Socket } from "node:net";

/**
 * Two byte streams as one async sequence, in the order they arrive, with back-pressure: when this much waits to be taken, the
 * command's own writes block.
 */
const HIGH_WATER_BYTES = 512 * 1024;

/** The most that is read at once: as much as a pipe holds. Most commands say little, so the first read has room for little. */
const [FIRST_READ, LARGEST_READ] = [4 * 1024, 256 * 1024];

export interface Chunk {
  readonly stream: "stdout" | "stderr";
  readonly data: Uint8Array;
}

export class ByteQueue {
  readonly #waiting: Chunk[] = [];
  readonly #sources: Socket[] = [];
  #bytes = 0;
  #open = 0;
  #arrivals = 0;
  #wake: (() => void) | undefined;

  /** Takes over the reading end of a pipe, which must not block. */
  add(stream: Chunk["stream"], descriptor: number): void {
    let room: Uint8Array = Buffer.allocUnsafe(FIRST_READ);
    let read = 0;
    const source = new Socket({
      fd: descriptor,
      readable: true,
      writable: false,
      // Into buffers of ours: the usual way allocates 64 KiB for each read, whatever comes.
      onread: {
        buffer: () => (room = roomAfter(room, read)),
        callback: (length) => {
          read = length;
          this.#waiting.push({ stream, data: room.subarray(0, length) });
          this.#bytes += length;
          this.#arrivals++;
          this.#signal();
          if (this.#bytes < HIGH_WATER_BYTES) return true;
          for (const each of this.#sources) each.pause();
          return false;
        },
      },
    });
    source.resume();
    this.#sources.push(source);
    this.#open++;
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
    if (this.#bytes < HIGH_WATER_BYTES / 2) for (const source of this.#sources) source.resume();
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

/** Where the next read goes: what the last one left free, or more where it filled what it had. */
function roomAfter(room: Uint8Array, read: number): Uint8Array {
  const free = room.subarray(read);
  if (free.length >= FIRST_READ / 2 && free.length > room.length / 2) return free;
  return Buffer.allocUnsafe(read === room.length ? Math.min(room.length * 4, LARGEST_READ) : Math.max(room.length, FIRST_READ));
}

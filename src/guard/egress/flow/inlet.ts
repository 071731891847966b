import type { Socket } from "node:net";

/** What a socket that moves little is read with, and one that fills that again and again. Bytes. */
const SMALL = 16_384;
const LARGE = 262_144;

/**
 * Reads a socket into a buffer of its own, again and again. A stream of Node's allocates 64 KiB for each read, and collecting those is half of what
 * a proxy spends on a download. Its `onread` goes to `net.connect`, whose socket has to be paused until `to` was called.
 */
export class Inlet {
  #buffer = Buffer.allocUnsafeSlow(SMALL);
  #sink: ((chunk: Buffer) => void) | undefined;
  #into: Socket | undefined;

  readonly onread = {
    buffer: (): Buffer => this.#buffer,
    callback: (length: number): boolean => {
      this.#sink?.(this.#buffer.subarray(0, length));
      this.#renew(length);
      return true;
    },
  };

  /** What is read goes to `sink`, which writes it to `into` before it returns, and nowhere else. */
  to(into: Socket, sink: (chunk: Buffer) => void): void {
    this.#into = into;
    this.#sink = sink;
  }

  /** A buffer that is still being written belongs to that write. Its size follows what moves, so that a connection at rest holds little. */
  #renew(length: number): void {
    const now = this.#buffer.length;
    const size = length === now ? LARGE : length < SMALL / 4 ? SMALL : now;
    if (size !== now || (this.#into?.writableLength ?? 0) > 0) this.#buffer = Buffer.allocUnsafeSlow(size);
  }
}

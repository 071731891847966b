import type { End, OutputChunk } from "../../contract/index.ts";
import { Bell } from "./channel.ts";
import type { Output } from "./channel.ts";

/** All output of a background process, with offsets over both streams together. */
export class Journal {
  readonly #chunks: { type: "stdout" | "stderr"; data: Uint8Array; at: number }[] = [];
  readonly #cap: number;
  readonly #bell = new Bell();
  #end: End | null = null;
  bytes = 0;
  truncated = false;

  constructor(cap: number) {
    this.#cap = cap;
  }

  /** Never makes a writer wait: beyond the cap it drops, and is flagged. */
  output(type: "stdout" | "stderr"): Output {
    return {
      write: (bytes) => {
        const kept = bytes.slice(0, this.#cap - this.bytes);
        this.truncated ||= kept.length < bytes.length;
        if (kept.length > 0) {
          this.#chunks.push({ type, data: kept, at: this.bytes });
          this.bytes += kept.length;
          this.#bell.ring();
        }
        return new Promise(setImmediate);
      },
    };
  }

  finish(end: End): void {
    this.#end = end;
    this.#bell.ring();
  }

  /** From an offset, in the middle of a chunk too. An offset beyond the end starts at the end. */
  async *read(from: { offset: number; follow: boolean }, signal: AbortSignal): AsyncGenerator<OutputChunk> {
    let offset = from.offset;
    for (let index = this.#indexOf(offset); ;) {
      const chunk = this.#chunks[index];
      if (chunk !== undefined) {
        index++;
        const data = chunk.data.subarray(Math.max(0, offset - chunk.at));
        if (data.length === 0) continue;
        offset = chunk.at + chunk.data.length;
        yield { type: chunk.type, data, offset };
      } else if (this.#end !== null) {
        if (from.follow) yield { type: "ended", ...this.#end, offset: this.bytes };
        return;
      } else if (from.follow) {
        await this.#bell.heard(signal);
      } else {
        return;
      }
    }
  }

  #indexOf(offset: number): number {
    const index = this.#chunks.findIndex((chunk) => chunk.at + chunk.data.length > offset);
    return index < 0 ? this.#chunks.length : index;
  }
}

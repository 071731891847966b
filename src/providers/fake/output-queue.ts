import { Bell } from "./channel.ts";
import type { Output } from "./channel.ts";

type Item = { readonly type: "stdout" | "stderr"; readonly data: Uint8Array };

/** Both output streams of an exec in the order they were written; holds 64 KiB, then its writers wait. */
export class OutputQueue {
  #items: Item[] = [];
  #bytes = 0;
  #done = false;
  readonly #bell = new Bell();

  output(type: "stdout" | "stderr"): Output {
    return {
      write: async (bytes, signal) => {
        while (!this.#done && this.#bytes > 0 && this.#bytes + bytes.length > 65_536) await this.#bell.heard(signal);
        // Once nobody takes it, what a daemonised child still writes goes nowhere.
        if (this.#done || bytes.length === 0) return;
        this.#items.push({ type, data: bytes });
        this.#bytes += bytes.length;
        this.#bell.ring();
      },
    };
  }

  /** The next piece, or null once it is finished and empty. */
  async next(signal: AbortSignal): Promise<Item | null> {
    for (;;) {
      const item = this.#items.shift();
      if (item !== undefined) {
        this.#bytes -= item.data.length;
        this.#bell.ring();
        return item;
      }
      if (this.#done) return null;
      await this.#bell.heard(signal);
    }
  }

  finish(): void {
    this.#done = true;
    this.#bell.ring();
  }
}

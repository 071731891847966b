import type { EgressLimits } from "../../../contract/network.ts";
import { EgressRefusal } from "../inspect/types.ts";
import { Turns } from "./turns.ts";

/**
 * Told of each piece that moves, before it is passed on. A promise means: wait for it.
 *
 * @throws EgressRefusal `limit` where the sandbox's bytes are used up.
 */
export type Flow = (direction: "up" | "down", bytes: number) => Promise<void> | undefined;

/** What may pass without waiting after a pause: a tenth of a second's worth, but never less than one read. */
const BURST_SECONDS = 0.1;
const MIN_BURST = 65_536;

/** All of one sandbox's traffic: counted, bounded in sum, slowed to its bandwidth each way, and held to its turns beside other sandboxes. */
export class Meter {
  #limits: EgressLimits;
  readonly #moved: { up: number; down: number };
  readonly #buckets = { up: new Bucket(), down: new Bucket() };
  readonly #turns = new Turns();

  constructor(limits: EgressLimits, moved: { readonly up: number; readonly down: number }) {
    this.#limits = limits;
    this.#moved = { ...moved };
  }

  get moved(): { readonly up: number; readonly down: number } {
    return this.#moved;
  }

  set limits(limits: EgressLimits) {
    this.#limits = limits;
  }

  readonly flow: Flow = (direction, bytes) => {
    const { bytes: most, bytesPerSecond } = this.#limits;
    if (most !== null && this.#moved.up + this.#moved.down + bytes > most) {
      throw new EgressRefusal("limit", `the sandbox has used up its ${most} bytes; ask for a larger network.limits.bytes`);
    }
    this.#moved[direction] += bytes;
    const slowed = bytesPerSecond === null ? undefined : this.#buckets[direction].take(bytes, bytesPerSecond);
    return slowed ?? this.#turns.take(bytes);
  };
}

/** A token bucket that may go into debt: whoever took the last of it waits until that is paid back, and so does all behind. */
class Bucket {
  #tokens = 0;
  #at = 0;

  take(bytes: number, rate: number): Promise<void> | undefined {
    const now = performance.now();
    this.#tokens = Math.min(Math.max(rate * BURST_SECONDS, MIN_BURST), this.#tokens + ((now - this.#at) / 1000) * rate) - bytes;
    this.#at = now;
    if (this.#tokens >= 0) return undefined;
    return new Promise((resolve) => {
      setTimeout(resolve, (-this.#tokens / rate) * 1000);
    });
  }
}

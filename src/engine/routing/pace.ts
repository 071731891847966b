/**
 * Keeps creates at a backend's rate: a second's worth may go at once, the others wait for their turn. Of this process only: several
 * that share a backend's plan share its limit unknowingly.
 */
export class Pace {
  readonly #now: () => number;
  readonly #perSecond: () => number | undefined;
  /** When the next one would be on time without a burst. */
  #next = -Infinity;
  #heldUntil = -Infinity;

  /** @param perSecond is asked each time, since a backend may be opened later; undefined: no limit. */
  constructor(perSecond: () => number | undefined, now: () => number) {
    this.#perSecond = perSecond;
    this.#now = now;
  }

  /** Milliseconds that a create would wait now. */
  get waitMs(): number {
    const now = this.#now();
    const held = Math.max(0, this.#heldUntil - now);
    const rate = this.#perSecond();
    if (rate === undefined) return held;
    const burst = (Math.max(1, Math.floor(rate)) - 1) * (1000 / rate);
    return Math.max(held, this.#next - burst - now, 0);
  }

  /** Takes the turn, and says how long to wait for it. */
  take(): number {
    const wait = this.waitMs;
    const rate = this.#perSecond();
    if (rate !== undefined) this.#next = Math.max(this.#next, this.#now()) + 1000 / rate;
    return wait;
  }

  /** The turn was not used. */
  giveBack(): void {
    const rate = this.#perSecond();
    if (rate !== undefined) this.#next -= 1000 / rate;
  }

  /** The backend said that it wants none for a while. */
  hold(ms: number): void {
    this.#heldUntil = Math.max(this.#heldUntil, this.#now() + ms);
  }
}

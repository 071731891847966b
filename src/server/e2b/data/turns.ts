/** As long as one turn of the event loop may go on with the same kind of work; beyond it the rest waits for the next. */
const TURN_MS = 4;

/**
 * Lets many streams that all have something to send share the event loop. Each of them goes on from promise to promise, and between
 * those the loop serves nobody else: so whoever has made an event asks for a turn, which is there at once while little time was
 * spent, and else comes one at a time with the loop's rounds, in the order of asking.
 */
export class Turns {
  readonly #waiting: (() => void)[] = [];
  #began = 0;
  #running = false;

  /** Resolves when the next piece of work may be done. */
  next(): Promise<void> | undefined {
    const now = performance.now();
    if (!this.#running) {
      this.#running = true;
      this.#began = now;
      setImmediate(this.#round);
    }
    if (this.#waiting.length === 0 && now - this.#began < TURN_MS) return undefined;
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  readonly #round = (): void => {
    this.#began = performance.now();
    const next = this.#waiting.shift();
    // Another round after the last that waited: it may ask again, and has its own time then.
    this.#running = next !== undefined;
    if (next === undefined) return;
    setImmediate(this.#round);
    next();
  };
}

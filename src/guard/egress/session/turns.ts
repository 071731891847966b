/** Bytes that a sandbox may move in one turn of the event loop, over all its connections: some 0.5 ms of it. */
const SHARE = 524_288;
/** Of those who wait, how many go on in a turn: each may read up to half a share at once. */
const AT_ONCE = 2;

/**
 * A sandbox's turns at the one event loop that serves all of them. Without them each of its connections could read for up to 32 times in a turn
 * (libuv reads on for as long as a socket has more), and 64 downloads would keep a sibling waiting for most of a second.
 */
export class Turns {
  #left = SHARE;
  #scheduled = false;
  readonly #waiting: (() => void)[] = [];

  /** Counts what moves. A promise means: the share of this turn is used up; wait for it, in the order in which it was asked. */
  take(bytes: number): Promise<void> | undefined {
    this.#left -= bytes;
    this.#schedule();
    if (this.#left > 0 && this.#waiting.length === 0) return undefined;
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
    });
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(this.#next);
  }

  readonly #next = (): void => {
    this.#scheduled = false;
    this.#left = SHARE;
    for (const goOn of this.#waiting.splice(0, AT_ONCE)) goOn();
    if (this.#waiting.length > 0) this.#schedule();
  };
}

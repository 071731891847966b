import type { BreakerState } from "../../contract/index.ts";

/** Acquisitions that fail one after the other before it opens, and within which time. */
const FAILURES = 3;
const WITHIN_MS = 120_000;
/** How long it stays open before one create may try again; doubled with each one that fails, up to the second. */
const OPEN_MS = 15_000;
const LONGEST_OPEN_MS = 240_000;

/**
 * Leaves a backend alone that cannot give sandboxes at the moment: opens after three acquisitions that failed in two minutes with no
 * success between them, then lets one through at a time. Of this process only.
 */
export class Breaker {
  readonly #now: () => number;
  #failed: number[] = [];
  #openUntil: number | null = null;
  #opened = 0;
  #probing = false;

  /** @param now milliseconds of a clock that nobody sets. */
  constructor(now: () => number) {
    this.#now = now;
  }

  get state(): BreakerState {
    if (this.#openUntil === null) return "closed";
    if (this.#probing) return "probing";
    return this.#now() < this.#openUntil ? "open" : "half_open";
  }

  get failures(): number {
    return this.#failed.length;
  }

  /** Until a create may try it; 0 where one may. While one does, a moment. */
  get retryAfterMs(): number {
    if (this.#openUntil === null) return 0;
    return this.#probing ? 1000 : Math.max(0, this.#openUntil - this.#now());
  }

  /** Whether a create may go there now. One that may must tell how it went. `probe`: it goes alone. */
  admit(): { readonly probe: boolean } | undefined {
    const { state } = this;
    if (state === "open" || state === "probing") return undefined;
    this.#probing = state === "half_open";
    return { probe: this.#probing };
  }

  /** One that began before it opened says nothing about now. */
  succeeded({ probe }: { readonly probe: boolean }): void {
    if (this.#openUntil !== null && !probe) return;
    this.#failed = [];
    this.#openUntil = null;
    this.#opened = 0;
    this.#probing = false;
  }

  failed({ probe }: { readonly probe: boolean }): void {
    if (this.#openUntil !== null && !probe) return;
    const now = this.#now();
    this.#failed = [...this.#failed.filter((at) => at > now - WITHIN_MS), now].slice(-FAILURES);
    if (!probe && this.#failed.length < FAILURES) return;
    this.#openUntil = now + Math.min(LONGEST_OPEN_MS, OPEN_MS * 2 ** this.#opened++);
    this.#probing = false;
  }

  /** It ended without saying anything about the backend: its caller left, or the fault was ours. */
  released({ probe }: { readonly probe: boolean }): void {
    if (probe) this.#probing = false;
  }
}

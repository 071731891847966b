import { SandboxerError } from "../../contract/index.ts";

/** Counts creates as a vendor does: a second's worth at once, and no more than the rate over time. */
export class CreateRate {
  readonly #perSecond: number;
  #tokens: number;
  #at = performance.now();

  constructor(perSecond: number) {
    this.#perSecond = perSecond;
    this.#tokens = Math.max(1, perSecond);
  }

  /** Throws `backend_rate_limited` where it is one too many. */
  count(): void {
    if (this.#perSecond === Infinity) return;
    const now = performance.now();
    this.#tokens = Math.min(Math.max(1, this.#perSecond), this.#tokens + ((now - this.#at) / 1000) * this.#perSecond);
    this.#at = now;
    // A turn that comes a moment early by another clock is no fault.
    if (this.#tokens < 0.95)
      throw new SandboxerError("backend_rate_limited", `the fake backend takes ${this.#perSecond} creates a second`, {
        phase: "create",
        retry_after: Math.ceil((1 - this.#tokens) / this.#perSecond),
      });
    this.#tokens -= 1;
  }
}

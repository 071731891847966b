import { setTimeout as sleep } from "node:timers/promises";
import { SandboxerError, type Op } from "../../contract/index.ts";
import { whyAborted } from "../shared/abort.ts";

/** A create that would have to wait longer than this for its turn is refused, so that another backend may have it. */
const WAITS_MS = 3000;

/** Keeps creates apart, as the plan's rate asks: one sent too early is a 429 that costs a round trip. Of this process only. */
export class Pace {
  readonly #apartMs: number;
  readonly #backend: string;
  #free = 0;

  constructor(perSecond: number, backend: string) {
    this.#apartMs = 1000 / perSecond;
    this.#backend = backend;
  }

  /** Waits for the turn. Throws `backend_rate_limited` with the time where that would take too long. */
  async turn({ signal }: Op): Promise<void> {
    const now = performance.now();
    const wait = Math.max(0, this.#free - now);
    if (wait > WAITS_MS)
      throw new SandboxerError("backend_rate_limited", "creates come faster than the plan's create_rate_per_s", {
        phase: "create",
        backend: this.#backend,
        retry_after: Math.ceil(wait / 1000),
      });
    this.#free = now + wait + this.#apartMs;
    if (wait === 0) return;
    try {
      await sleep(wait, undefined, { signal });
    } catch (thrown) {
      throw signal.aborted ? whyAborted(signal) : thrown;
    }
  }
}

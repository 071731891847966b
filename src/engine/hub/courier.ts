import { listWebhooks } from "../../ledger/index.ts";
import type { Context } from "../context.ts";
import { type Passed, pump, waits } from "./pump.ts";
import { Sender } from "./send.ts";

/** Between looks for what is due, or was written by another process. */
const LOOK_MS = 500;
/** After something was written here. One look for all that is written in that time. */
const SOON_MS = 20;
/** Webhooks that are told something at the same time. */
const AT_ONCE = 32;

/** Tells events to webhooks while the process lives. It holds no event that it has not just read, and nobody waits for it. */
export class Courier {
  readonly #ctx: Context;
  readonly #sender: Sender;
  readonly #passed: Passed = new Map();
  readonly #running = new Map<string, Promise<void>>();
  readonly #stop = new AbortController();
  readonly #unlisten: () => void;
  readonly #timer: NodeJS.Timeout;
  #soon: NodeJS.Timeout | undefined;
  #looking: Promise<void> | undefined;
  #again = false;

  constructor(ctx: Context) {
    this.#ctx = ctx;
    this.#sender = new Sender(ctx);
    this.#unlisten = ctx.ledger.onEvents(() => {
      this.#soon ??= setTimeout(() => this.#look(), SOON_MS).unref();
    });
    this.#timer = setInterval(() => this.#look(), LOOK_MS).unref();
    this.#look();
  }

  #look(): void {
    clearTimeout(this.#soon);
    this.#soon = undefined;
    if (this.#looking !== undefined) {
      this.#again = true;
      return;
    }
    this.#again = false;
    this.#looking = this.#start()
      .catch((thrown: unknown) => this.#ctx.log.warn({ error: String(thrown) }, "webhooks could not be looked at"))
      .then(() => {
        this.#looking = undefined;
        if (this.#again && !this.#stop.signal.aborted) this.#look();
      });
  }

  async #start(): Promise<void> {
    const now = this.#ctx.clock.now();
    for (const row of await listWebhooks(this.#ctx.ledger.db)) {
      if (this.#stop.signal.aborted || this.#running.size >= AT_ONCE) return;
      if (row.enabled === 0 || waits(row, now) || this.#running.has(row.id)) continue;
      // One that another process has is not looked into: its events are not read twice.
      if (row.leased_by !== null && row.leased_by !== this.#ctx.instance && (row.leased_until ?? 0) > now) continue;
      const work = pump({ ctx: this.#ctx, sender: this.#sender, passed: this.#passed, signal: this.#stop.signal }, row.id)
        .catch((thrown: unknown) => this.#ctx.log.warn({ webhook: row.id, error: String(thrown) }, "a webhook could not be served"))
        .then(() => void this.#running.delete(row.id));
      this.#running.set(row.id, work);
    }
  }

  /** Lets go: what is on its way is told again by whoever is next. */
  async stop(): Promise<void> {
    this.#stop.abort();
    this.#unlisten();
    clearInterval(this.#timer);
    clearTimeout(this.#soon);
    await this.#looking;
    await Promise.all(this.#running.values());
    this.#sender.close();
  }
}

import type { SweepReport } from "../contract/index.ts";
import type { Context } from "./context.ts";
import { watchEgress } from "./network/watch.ts";
import { reap } from "./reap.ts";
import { Nightly } from "./retention.ts";
import { Report } from "./report.ts";
import { sweepOnce } from "./sweep.ts";

/** How late a clock may strike at most. */
const REAP_MS = 1000;

/** Runs sweeps one at a time, and the timers that start them. */
export class Sweeper {
  readonly #ctx: Context;
  readonly #timers: NodeJS.Timeout[] = [];
  #running: Promise<unknown> = Promise.resolve();
  #next: { adopt: boolean; asked: boolean; promise: Promise<SweepReport> } | null = null;
  #reaping = false;
  #finishedAt: number | null = null;
  readonly #nightly: Nightly;

  constructor(ctx: Context) {
    this.#ctx = ctx;
    this.#nightly = new Nightly(ctx);
  }

  /**
   * A sweep that begins after this call: one that runs already may have looked too early. Callers that wait share it. One that
   * somebody asked for looks at every backend, also at those that are another control plane's turn.
   */
  sweep(adopt: boolean, asked = true): Promise<SweepReport> {
    if (this.#next !== null) {
      this.#next.adopt ||= adopt;
      this.#next.asked ||= asked;
      return this.#next.promise;
    }
    const next = { adopt, asked, promise: this.#running.then(() => this.#begin()) };
    this.#next = next;
    this.#running = next.promise;
    return next.promise;
  }

  async #begin(): Promise<SweepReport> {
    const { adopt, asked } = this.#next ?? { adopt: false, asked: false };
    this.#next = null;
    const report = await sweepOnce(this.#ctx, { adopt, asked });
    this.#finishedAt = performance.now();
    return report;
  }

  /** Neither timer keeps the process alive. */
  start(intervalSeconds: number): void {
    const every = Math.max(100, intervalSeconds * 1000);
    this.#timers.push(
      setInterval(() => void this.sweep(false, false).then(() => this.#nightly.begin()), every).unref(),
      setInterval(() => this.#reap(), Math.min(every, REAP_MS)).unref(),
    );
  }

  #reap(): void {
    if (this.#reaping) return;
    this.#reaping = true;
    const report = new Report();
    const work = report
      .try({}, () => reap(this.#ctx, report))
      .then(() => watchEgress(this.#ctx, report))
      .then(() => {
        this.#reaping = false;
        if (report.result.errors.length > 0) this.#ctx.log.warn({ errors: report.result.errors }, "what was due could not all be ended");
      });
    this.#ctx.live.background(work);
  }

  /** Milliseconds since a sweep last ended; null before the first. */
  get age(): number | null {
    return this.#finishedAt === null ? null : performance.now() - this.#finishedAt;
  }

  async stop(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    this.#nightly.stop();
    await this.#running;
  }
}

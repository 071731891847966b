import type { Config } from "../contract/index.ts";
import { compact, type Cutoffs, type Forgotten, type Ledger, readMeta, retain, takeLease, writeMeta } from "../ledger/index.ts";
import type { Context } from "./context.ts";

const DAY_MS = 86_400_000;
const DONE_ON = "retained_on";
/** In a fleet no other control plane begins in that time. */
const LEASE_MS = 3_600_000;

/** Before when what is over is forgotten, by the configuration. */
export function cutoffs({ retention = {} }: Config, now: number): Cutoffs {
  const { events = 90 * 86_400, sandboxes = 90 * 86_400, network_log: networkLog = 7 * 86_400 } = retention;
  return { events: now - events * 1000, sandboxes: now - sandboxes * 1000, networkLog: now - networkLog * 1000 };
}

/** Forgets what is to be forgotten now, and gives room back. */
export async function houseKeeping(
  ledger: Ledger,
  config: Config,
  now: number,
  signal: AbortSignal,
): Promise<{ forgotten: Forgotten; bytes: number }> {
  const forgotten = await retain(ledger, cutoffs(config, now), signal);
  return { forgotten, bytes: await compact(ledger, signal) };
}

/** Which day it is to be done for: today's, once its time has come, else yesterday's. */
function dayOf({ retention = {} }: Config, now: number): number {
  const [hours = 3, minutes = 0] = (retention.at ?? "03:00").split(":").map(Number);
  return Math.floor((now - (hours * 60 + minutes) * 60_000) / DAY_MS);
}

/** Once a day, by one process. Cheap where it is done already: nothing is read before the day has changed. */
export class Nightly {
  readonly #ctx: Context;
  #doneOn: number | undefined;
  #running: AbortController | undefined;

  constructor(ctx: Context) {
    this.#ctx = ctx;
  }

  begin(): void {
    const day = dayOf(this.#ctx.config, this.#ctx.clock.now());
    if (this.#doneOn === day || this.#running !== undefined || this.#ctx.ledger.readOnly !== null) return;
    const running = new AbortController();
    this.#running = running;
    const work = this.#run(day, running.signal)
      .catch((thrown: unknown) => {
        if (!running.signal.aborted) this.#ctx.log.error({ error: String(thrown) }, "retention could not be finished; it goes on at the next sweep");
      })
      .finally(() => {
        this.#running = undefined;
      }); // prettier-ignore
    this.#ctx.live.background(work);
  }

  async #run(day: number, signal: AbortSignal): Promise<void> {
    const { ledger, config, clock, instance, log } = this.#ctx;
    const done = await readMeta(ledger.db, DONE_ON);
    if (done === undefined || Number(done) < day) {
      if (!(await takeLease(ledger, "retention", instance, LEASE_MS))) return;
      const { forgotten, bytes } = await houseKeeping(ledger, config, clock.now(), signal);
      await ledger.transaction((tx) => writeMeta(tx, DONE_ON, String(day)));
      if (forgotten.events + forgotten.sandboxes + forgotten.network_log > 0)
        log.info({ ...forgotten, bytes }, "what is over was forgotten");
    }
    this.#doneOn = day;
  }

  stop(): void {
    this.#running?.abort();
  }
}

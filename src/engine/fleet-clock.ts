import type { Ledger } from "../ledger/index.ts";
import type { Clock } from "./clock.ts";

/**
 * The shared ledger's clock, as this process knows it: asked for at each heartbeat, and carried on in between by a clock that
 * nobody sets. So what control planes write agrees to some milliseconds whatever their hosts' clocks say.
 */
export interface FleetClock extends Clock {
  /** Asks the ledger anew. Of several answers the one that came fastest is believed: half of its way is the error. */
  sync(): Promise<void>;
}

/** Half a round trip that a renewed answer may be worse than the last one before it is taken all the same. */
const SLACK_MS = 5;

export async function fleetClock(ledger: Ledger, own: Clock): Promise<FleetClock> {
  let base = own.now() - performance.now();
  let error = Infinity;
  const sync = async () => {
    const began = performance.now();
    const { now } = await ledger.db.selectNoFrom(ledger.now.as("now")).executeTakeFirstOrThrow();
    const half = (performance.now() - began) / 2;
    const measured = now - (began + half);
    // A slow answer says little: it is taken where it proves the clock wrong, as after a sleep of this host.
    if (half > error + SLACK_MS && Math.abs(measured - base) <= half) return;
    base = measured;
    error = half;
  };
  await sync();
  return {
    now: () => Math.round(base + performance.now()),
    uptime: () => own.uptime(),
    ticks: () => own.ticks(),
    bootId: own.bootId,
    sync,
  };
}

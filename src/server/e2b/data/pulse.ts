import { untilAborted } from "../../until-aborted.ts";
import type { Session } from "./session.ts";

/** How often a stream looks whether its sandbox still runs, at least. */
const LOOK_MS = 3000;
const DEFAULT_KEEPALIVE_MS = 90_000;

/** What a client asks for in `Keepalive-Ping-Interval`, in seconds there. */
export function keepaliveMs(header: string | null): number {
  const seconds = Number(header);
  return header !== null && Number.isInteger(seconds) && seconds > 0 && seconds <= 86_400 ? seconds * 1000 : DEFAULT_KEEPALIVE_MS;
}

/**
 * The items of a source, and undefined whenever nothing came for `idleMs`. Ends the stream where the sandbox has ended,
 * whether or not its backend ends the source.
 *
 * @throws Gone; the signal's reason when it aborts.
 */
export async function* withPulse<T>(
  session: Session,
  source: AsyncIterable<T>,
  idleMs: number,
  signal: AbortSignal,
): AsyncGenerator<T | undefined> {
  const { log } = session.ctx;
  const noted = (error: unknown): void =>
    log.debug({ request_id: session.call.requestId, err: error }, "a stream failed as it was stopped");
  const stop = new AbortController();
  const items = untilAborted(source, AbortSignal.any([signal, stop.signal]), noted);
  let last = performance.now();
  let pending = items.next();
  try {
    for (;;) {
      const step = await orTimeout(pending, Math.min(LOOK_MS, idleMs));
      if (step === undefined) {
        await session.checkAlive();
        if (performance.now() - last < idleMs) continue;
        last = performance.now();
        yield undefined;
      } else if (step.done === true) {
        return;
      } else {
        last = performance.now();
        yield step.value;
        pending = items.next();
      }
    }
  } finally {
    // A source that is waited for would never hear that it is to stop.
    pending.catch(noted);
    stop.abort(new DOMException("nobody reads on", "AbortError"));
    await items.return();
  }
}

/** Undefined when the time is up first. */
function orTimeout<T>(promise: Promise<T>, ms: number): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => resolve(undefined), ms);
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

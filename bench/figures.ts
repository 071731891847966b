/** What many samples of one thing say. */
export interface Figure {
  readonly median: number;
  readonly p95: number;
  readonly samples: number;
}

/** Throws where there is nothing to summarize: a figure of no samples would look like a fast one. */
export function figure(samples: readonly number[]): Figure {
  if (samples.length === 0) throw new Error("no samples were taken");
  const sorted = [...samples].sort((a, b) => a - b);
  const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
  const middle = sorted.length % 2 === 1 ? at(0.5) : (at(0.5) + (sorted[sorted.length / 2 - 1] ?? 0)) / 2;
  return { median: middle, p95: at(0.95), samples: sorted.length };
}

/** Milliseconds that the work took, and what it gave. */
export async function timed<T>(work: () => Promise<T>): Promise<{ ms: number; value: T }> {
  const began = performance.now();
  const value = await work();
  return { ms: performance.now() - began, value };
}

/** How often and how long something is measured at most. */
export interface Bounds {
  readonly rounds: number;
  readonly seconds: number;
  readonly signal: AbortSignal;
}

/**
 * Runs the contestants in turn, the order reversed every other round (ABBA), so that whatever drifts on the machine
 * meets all of them alike. Ends at the bound of rounds or seconds, whichever comes first, after one round at least.
 */
export async function interleaved(bounds: Bounds, ...contestants: readonly (() => Promise<void>)[]): Promise<void> {
  const until = performance.now() + bounds.seconds * 1000;
  for (let round = 0; round < bounds.rounds && (round === 0 || performance.now() < until); round++) {
    for (const contestant of round % 2 === 0 ? contestants : contestants.toReversed()) {
      bounds.signal.throwIfAborted();
      await contestant();
    }
  }
}

/** Does a number of jobs with so many workers. Rejects with the first failure, when all workers have stopped. */
export async function withWorkers(
  jobs: number,
  workers: number,
  signal: AbortSignal,
  job: (index: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  const failures: unknown[] = [];
  const worker = async (): Promise<void> => {
    while (next < jobs && failures.length === 0 && !signal.aborted) {
      try {
        await job(next++);
      } catch (failure) {
        failures.push(failure);
      }
    }
  };
  await Promise.all(Array.from({ length: workers }, worker));
  signal.throwIfAborted();
  if (failures.length > 0) throw failures[0];
}

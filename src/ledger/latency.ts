import type { Db } from "./ledger.ts";

/** Upper bounds in ms of the latency histograms; the last one stands for everything above. */
export const LATENCY_BUCKETS_MS = [
  1, 2, 5, 10, 15, 20, 30, 50, 75, 100, 150, 200, 300, 500, 1000, 2000, 5000, 10_000, 30_000, 60_000, 9_007_199_254_740_991,
] as const;

/** Adds counts to the histogram that outlives restarts. */
export async function addLatencies(
  tx: Db,
  rows: readonly { backend: string; verb: string; le_ms: number; count: number }[],
): Promise<void> {
  for (const row of rows) {
    await tx
      .insertInto("latency")
      .values(row)
      .onConflict((conflict) =>
        conflict.columns(["backend", "verb", "le_ms"]).doUpdateSet((eb) => ({ count: eb("latency.count", "+", row.count) })),
      )
      .execute();
  }
}

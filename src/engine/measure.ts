import type { MetricSample } from "../contract/index.ts";
import { Rolling } from "./routing/rolling.ts";

/** Upper bounds in ms of the histograms since the start; the last one stands for everything above. */
const LATENCY_BUCKETS_MS = [
  1, 2, 5, 10, 15, 20, 30, 50, 75, 100, 150, 200, 300, 500, 1000, 2000, 5000, 10_000, 30_000, 60_000, 9_007_199_254_740_991,
] as const;

type Labels = Record<string, string>;

const COUNTERS = {
  sandboxer_creates_total: "Creates by backend and result (ok or an error code).",
  sandboxer_ended_total: "Sandboxes that ended, by backend and reason.",
  sandboxer_execs_total: "Foreground execs by backend and outcome.",
  sandboxer_errors_total: "Errors by verb and code.",
  sandboxer_webhook_attempts_total: "Requests to webhooks by result: ok, refused, down or gone.",
  sandboxer_policy_denials_total: "Denials by the policy, by action and rule.",
  sandboxer_orphans_removed_total: "Objects at a backend that belonged to nothing alive.",
} as const;

export type Counter = keyof typeof COUNTERS;

interface Histogram {
  readonly backend: string;
  readonly verb: string;
  readonly counts: number[];
  sum: number;
}

/** Counts and latencies since this process started, and beside them what backends took of late, which the sweep keeps in the ledger. */
export class Measure {
  readonly #counters = new Map<string, { name: Counter; labels: Labels; value: number }>();
  readonly #histograms = new Map<string, Histogram>();
  readonly rolling: Rolling;
  /** When what the ledger has of it was last read; null before the first time. */
  read: { at: number; readonly reading: Promise<void> } | null = null;

  /** @param now epoch milliseconds. */
  constructor(now: () => number) {
    this.rolling = new Rolling(now);
  }

  count(name: Counter, labels: Labels): void {
    const key = `${name} ${JSON.stringify(labels)}`;
    const known = this.#counters.get(key);
    if (known === undefined) this.#counters.set(key, { name, labels, value: 1 });
    else known.value++;
  }

  /** How long a verb took at a backend. */
  latency(backend: string, verb: string, ms: number): void {
    const key = `${backend} ${verb}`;
    const histogram = this.#histograms.get(key) ?? { backend, verb, counts: LATENCY_BUCKETS_MS.map(() => 0), sum: 0 };
    this.#histograms.set(key, histogram);
    const bucket = LATENCY_BUCKETS_MS.findIndex((bound) => ms <= bound);
    histogram.counts[bucket] = (histogram.counts[bucket] ?? 0) + 1;
    histogram.sum += ms;
    this.rolling.record(backend, verb, ms);
  }

  samples(): MetricSample[] {
    const counters = (Object.keys(COUNTERS) as Counter[]).map((name): MetricSample => ({
      name,
      help: COUNTERS[name],
      type: "counter",
      values: [...this.#counters.values()].filter((counter) => counter.name === name).map(({ labels, value }) => ({ labels, value })),
    }));
    const values = [...this.#histograms.values()].flatMap(({ backend, verb, counts, sum }) => {
      const labels = { backend, verb };
      let total = 0;
      const buckets = counts.map((count, index) => {
        total += count;
        const bound = index === counts.length - 1 ? "+Inf" : String((LATENCY_BUCKETS_MS[index] ?? 0) / 1000);
        return { labels: { ...labels, le: bound }, value: total, suffix: "_bucket" };
      });
      return [...buckets, { labels, value: sum / 1000, suffix: "_sum" }, { labels, value: total, suffix: "_count" }];
    });
    return [...counters, { name: "sandboxer_backend_seconds", help: "How long a verb took at a backend.", type: "histogram", values }];
  }
}

import type { MetricSample } from "../contract/index.ts";
import { LATENCY_BUCKETS_MS } from "../ledger/index.ts";

type Labels = Record<string, string>;

const COUNTERS = {
  sandboxer_creates_total: "Creates by backend and result (ok or an error code).",
  sandboxer_ended_total: "Sandboxes that ended, by backend and reason.",
  sandboxer_execs_total: "Foreground execs by backend and outcome.",
  sandboxer_errors_total: "Errors by verb and code.",
  sandboxer_webhook_attempts_total: "Requests to webhooks by result: ok, refused, down or gone.",
  sandboxer_orphans_removed_total: "Objects at a backend that belonged to nothing alive.",
} as const;

export type Counter = keyof typeof COUNTERS;

interface Histogram {
  readonly backend: string;
  readonly verb: string;
  readonly counts: number[];
  readonly unsaved: number[];
  sum: number;
}

/** Counts and latencies since this process started; latencies are also added up in the ledger by the sweep. */
export class Measure {
  readonly #counters = new Map<string, { name: Counter; labels: Labels; value: number }>();
  readonly #histograms = new Map<string, Histogram>();

  count(name: Counter, labels: Labels): void {
    const key = `${name} ${JSON.stringify(labels)}`;
    const known = this.#counters.get(key);
    if (known === undefined) this.#counters.set(key, { name, labels, value: 1 });
    else known.value++;
  }

  /** How long a verb took at a backend. */
  latency(backend: string, verb: string, ms: number): void {
    const key = `${backend} ${verb}`;
    const empty = () => LATENCY_BUCKETS_MS.map(() => 0);
    const histogram = this.#histograms.get(key) ?? { backend, verb, counts: empty(), unsaved: empty(), sum: 0 };
    this.#histograms.set(key, histogram);
    const bucket = LATENCY_BUCKETS_MS.findIndex((bound) => ms <= bound);
    histogram.counts[bucket] = (histogram.counts[bucket] ?? 0) + 1;
    histogram.unsaved[bucket] = (histogram.unsaved[bucket] ?? 0) + 1;
    histogram.sum += ms;
  }

  /** What the ledger has not yet; counts as taken. */
  takeUnsaved(): { backend: string; verb: string; le_ms: number; count: number }[] {
    return [...this.#histograms.values()].flatMap(({ backend, verb, unsaved }) =>
      unsaved.flatMap((count, bucket) => {
        if (count === 0) return [];
        unsaved[bucket] = 0;
        return [{ backend, verb, le_ms: LATENCY_BUCKETS_MS[bucket] ?? 0, count }];
      }),
    );
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

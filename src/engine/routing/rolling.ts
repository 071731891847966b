import type { Percentiles } from "../../contract/index.ts";

/** After this long a measurement weighs half. */
const HALF_LIFE_MS = 3600_000;
/** What is older than this counts no longer, and is removed. */
export const WINDOW_MS = 24 * 3600_000;
/** Measurements of one such stretch share a row. */
const SLICE_MS = 10 * 60_000;
/** Bounds from 0.1 ms up, each a tenth above the one before: a percentile is within a tenth of the truth. */
const FIRST_US = 100;
const STEP = 1.1;
const BUCKETS = 150;
/** Percentiles are counted anew when this share of what they stand on is new. */
const STALE_SHARE = 0.02;
const BOUNDS_US: readonly number[] = Array.from({ length: BUCKETS }, (_, index) => Math.round(FIRST_US * STEP ** index));

/** How often a verb at a backend took at most `le_us` in the stretch from `slice_at` on. */
export interface MeasuredSlice {
  readonly backend: string;
  readonly verb: string;
  readonly slice_at: number;
  readonly le_us: number;
  readonly count: number;
}

interface Series {
  readonly backend: string;
  readonly verb: string;
  readonly weights: Float64Array;
  /** Their sum. */
  total: number;
  /** What the percentiles were, until so much has been measured that they may have moved. */
  known: { readonly value: Percentiles; changes: number } | null;
  /** When the weights were last right. */
  at: number;
  readonly unsaved: Map<string, { slice_at: number; bucket: number; count: number }>;
}

const bucketOf = (us: number): number => {
  if (us <= FIRST_US) return 0;
  const guess = Math.min(BUCKETS - 1, Math.max(0, Math.floor(Math.log(us / FIRST_US) / Math.log(STEP)) - 1));
  for (let bucket = guess; bucket < BUCKETS; bucket++) if (us <= (BOUNDS_US[bucket] ?? Infinity)) return bucket;
  return BUCKETS - 1;
};
const aged = (ms: number): number => 2 ** (-Math.max(0, ms) / HALF_LIFE_MS);

/** How long verbs take at backends of late. Kept over restarts by whoever saves {@link takeUnsaved} and gives it back to {@link replace}. */
export class Rolling {
  readonly #series = new Map<string, Series>();
  readonly #now: () => number;

  /** @param now epoch milliseconds: the slices of several processes and boots stand beside each other. */
  constructor(now: () => number) {
    this.#now = now;
  }

  record(backend: string, verb: string, ms: number): void {
    const now = this.#now();
    const series = this.#of(backend, verb, now);
    const bucket = bucketOf(ms * 1000);
    this.#age(series, now);
    series.weights[bucket] = (series.weights[bucket] ?? 0) + 1;
    series.total++;
    if (series.known !== null && ++series.known.changes > series.total * STALE_SHARE) series.known = null;
    const slice_at = Math.floor(now / SLICE_MS) * SLICE_MS;
    const key = `${slice_at} ${bucket}`;
    const unsaved = series.unsaved.get(key);
    if (unsaved === undefined) series.unsaved.set(key, { slice_at, bucket, count: 1 });
    else unsaved.count++;
  }

  /** null where nothing was measured of late. */
  percentiles(backend: string, verb: string): Percentiles | null {
    const series = this.#series.get(`${backend} ${verb}`);
    if (series === undefined) return null;
    this.#age(series, this.#now());
    const { weights, total } = series;
    if (total < 0.5) return null;
    series.known ??= {
      changes: 0,
      value: {
        p50: percentile(weights, total, 0.5),
        p90: percentile(weights, total, 0.9),
        p95: percentile(weights, total, 0.95),
        samples: Math.round(total * 10) / 10,
      },
    };
    return series.known.value;
  }

  /** How much was measured of late, by its weight. */
  weight(backend: string, verb: string): number {
    const series = this.#series.get(`${backend} ${verb}`);
    if (series === undefined) return 0;
    this.#age(series, this.#now());
    return series.total;
  }

  verbs(backend: string): string[] {
    return [...this.#series.values()].flatMap((series) => (series.backend === backend ? [series.verb] : []));
  }

  /** What the ledger has not yet; counts as taken. */
  takeUnsaved(): MeasuredSlice[] {
    return [...this.#series.values()].flatMap(({ backend, verb, unsaved }) => {
      const rows = Array.from(unsaved.values(), ({ slice_at, bucket, count }) => ({
        backend, verb, slice_at, le_us: BOUNDS_US[bucket] ?? 0, count,
      })); // prettier-ignore
      unsaved.clear();
      return rows;
    });
  }

  /** What the ledger has, of every process; what is not saved yet stays beside it. */
  replace(rows: readonly MeasuredSlice[]): void {
    const now = this.#now();
    for (const series of this.#series.values()) {
      series.weights.fill(0);
      series.total = 0;
      series.at = now;
      for (const { slice_at, bucket, count } of series.unsaved.values()) this.#add(series, bucket, slice_at, count, now);
    }
    for (const { backend, verb, slice_at, le_us, count } of rows) {
      if (slice_at > now - WINDOW_MS) this.#add(this.#of(backend, verb, now), bucketOf(le_us), slice_at, count, now);
    }
  }

  #add(series: Series, bucket: number, sliceAt: number, count: number, now: number): void {
    const middle = Math.min(now, sliceAt + SLICE_MS / 2);
    const weight = count * aged(now - middle);
    series.weights[bucket] = (series.weights[bucket] ?? 0) + weight;
    series.total += weight;
    series.known = null;
  }

  #of(backend: string, verb: string, now: number): Series {
    const key = `${backend} ${verb}`;
    let series = this.#series.get(key);
    if (series === undefined) {
      series = { backend, verb, weights: new Float64Array(BUCKETS), total: 0, known: null, at: now, unsaved: new Map() };
      this.#series.set(key, series);
    }
    return series;
  }

  #age(series: Series, now: number): void {
    // By steps of a minute: finer ones change nothing that can be seen.
    if (now - series.at < 60_000) return;
    const factor = aged(now - series.at);
    for (let bucket = 0; bucket < BUCKETS; bucket++) series.weights[bucket] = (series.weights[bucket] ?? 0) * factor;
    series.total *= factor;
    series.known = null;
    series.at = now;
  }
}

/** Milliseconds, to a hundredth. Within its bucket a measurement may be anywhere. */
function percentile(weights: Float64Array, total: number, share: number): number {
  const wanted = total * share;
  let before = 0;
  for (let bucket = 0; bucket < BUCKETS; bucket++) {
    const weight = weights[bucket] ?? 0;
    if (weight > 0 && before + weight >= wanted - 1e-9) {
      const low = bucket === 0 ? 0 : (BOUNDS_US[bucket - 1] ?? 0);
      const high = BOUNDS_US[bucket] ?? low;
      return Math.round((low + (high - low) * ((wanted - before) / weight)) / 10) / 100;
    }
    before += weight;
  }
  return (BOUNDS_US.at(-1) ?? 0) / 1000;
}

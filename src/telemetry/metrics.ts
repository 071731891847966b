import type { HrTime } from "@opentelemetry/api";
import { ValueType } from "@opentelemetry/api";
import { hrTime } from "@opentelemetry/core";
import type { Resource } from "@opentelemetry/resources";
import {
  AggregationTemporality,
  type CollectionResult,
  type DataPoint,
  DataPointType,
  type Histogram,
  type MetricData,
  type MetricProducer,
} from "@opentelemetry/sdk-metrics";
import type { MetricSample } from "../contract/index.ts";

/** Hands the same samples to an exporter that the metrics page has: nothing is counted twice. */
export class SampleProducer implements MetricProducer {
  readonly #resource: Resource;
  readonly #startTime: HrTime = hrTime();
  #read: () => Promise<MetricSample[]> = async () => [];

  constructor(resource: Resource) {
    this.#resource = resource;
  }

  readFrom(read: () => Promise<MetricSample[]>): void {
    this.#read = read;
  }

  async collect(): Promise<CollectionResult> {
    const span = { startTime: this.#startTime, endTime: hrTime() };
    const metrics = (await this.#read()).map((sample) => toMetric(sample, span));
    const scopeMetrics = [{ scope: { name: "sand-boxer" }, metrics }];
    return { resourceMetrics: { resource: this.#resource, scopeMetrics }, errors: [] };
  }
}

interface Times {
  readonly startTime: HrTime;
  readonly endTime: HrTime;
}

function toMetric({ name, help, type, values }: MetricSample, times: Times): MetricData {
  const unit = name.endsWith("_seconds") ? "s" : "1";
  const common = {
    descriptor: { name, description: help, unit, valueType: ValueType.DOUBLE },
    aggregationTemporality: AggregationTemporality.CUMULATIVE,
  };
  if (type === "histogram") return { ...common, dataPointType: DataPointType.HISTOGRAM, dataPoints: histograms(values, times) };
  const dataPoints = values.map(({ labels, value }) => ({ ...times, attributes: labels, value }));
  return type === "counter"
    ? { ...common, dataPointType: DataPointType.SUM, isMonotonic: true, dataPoints }
    : { ...common, dataPointType: DataPointType.GAUGE, dataPoints };
}

/** From cumulative buckets by the label `le` to each bucket's own count. */
function histograms(values: MetricSample["values"], times: Times): DataPoint<Histogram>[] {
  const series = new Map<string, { attributes: Record<string, string>; bounds: [number, number][]; sum: number; count: number }>();
  for (const { labels: { le, ...attributes }, value, suffix } of values) {
    const key = JSON.stringify(attributes);
    const one = series.get(key) ?? { attributes, bounds: [], sum: 0, count: 0 };
    series.set(key, one);
    if (suffix === "_sum") one.sum = value;
    else if (suffix === "_count") one.count = value;
    else one.bounds.push([le === "+Inf" ? Infinity : Number(le), value]);
  } // prettier-ignore
  return [...series.values()].map(({ attributes, bounds, sum, count }) => {
    const sorted = bounds.toSorted(([a], [b]) => a - b);
    const counts = sorted.map(([, value], index) => value - (sorted[index - 1]?.[1] ?? 0));
    const boundaries = sorted.map(([bound]) => bound).filter((bound) => bound !== Infinity);
    return { ...times, attributes, value: { buckets: { boundaries, counts }, sum, count } };
  });
}

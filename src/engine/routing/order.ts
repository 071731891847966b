import { formatUsd, type Percentiles, type RouteSort } from "../../contract/index.ts";
import type { MergedRouting } from "../../guard/index.ts";
import type { Quote } from "./quote.ts";
import type { RouteBackend } from "./snapshot.ts";

/** A backend that fails more creates than this is chosen after all that do not, where nothing else is asked for. */
const HEALTHY = 0.9;
/** Successes that every backend is credited with: one failure says little, and with age a bad hour is forgotten, so that it is tried again. */
const CREDIT = 10;

export interface Eligible {
  readonly backend: RouteBackend;
  readonly quote: Quote | null;
}

function trust({ availability }: RouteBackend): number {
  return availability === null ? 1 : (availability.share * availability.samples + CREDIT) / (availability.samples + CREDIT);
}

/** Smaller comes first; unknown last. */
function rank({ backend, quote }: Eligible, sort: RouteSort | undefined): number[] {
  const price = quote?.cost.per_hour_micro_usd ?? Infinity;
  switch (sort) {
    case "price":
      return [price];
    case "cold_start":
      return [backend.coldStart?.p50 ?? Infinity];
    case "exec_latency":
      return [backend.execLatency?.p50 ?? Infinity];
    case "availability":
      return [backend.availability === null ? Infinity : -trust(backend)];
    case undefined:
      // What a success is expected to cost.
      return [trust(backend) < HEALTHY ? 1 : 0, price / Math.max(trust(backend), 0.01)];
    default:
      return sort satisfies never;
  }
}

/** 0: known to start as fast as is preferred, 1: not known, 2: known to be slower. */
function preference({ p50, p90 }: MergedRouting["preferredColdStart"], measured: Percentiles | null): number {
  if (p50 === Infinity && p90 === Infinity) return 0;
  if (measured === null) return 1;
  return measured.p50 <= p50 && measured.p90 <= p90 ? 0 : 2;
}

/** Best first: without a long queue, by `order`, as fast as is preferred, by `sort`, by the configuration. */
export function inOrder(routing: MergedRouting, eligible: readonly Eligible[], maxWaitMs: number): Eligible[] {
  const keys = new Map(
    eligible.map((one) => {
      const { backend } = one;
      const asked = routing.order.indexOf(backend.name);
      const busy = backend.gate.queueMs > maxWaitMs ? 1 : 0;
      const place = asked >= 0 ? asked : routing.order.length;
      const fast = preference(routing.preferredColdStart, backend.coldStart);
      // What stands in `order` keeps the place it was given there.
      return [one, [busy, place, fast, ...rank(one, routing.sort), backend.place]] as const;
    }),
  );
  return eligible.toSorted((a, b) => {
    const [one, other] = [keys.get(a) ?? [], keys.get(b) ?? []];
    const at = one.findIndex((value, index) => value !== other[index]);
    return at < 0 ? 0 : (one[at] ?? 0) < (other[at] ?? 0) ? -1 : 1;
  });
}

const milliseconds = (value: number): string => `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;

/** What its place was decided by, as a person reads it. */
export function why(routing: MergedRouting, { backend, quote }: Eligible, maxWaitMs: number): string {
  const { order, preferredColdStart, sort } = routing;
  const price = quote === null ? "price not known" : `${formatUsd(quote.cost.per_hour_micro_usd)} an hour`;
  const parts: string[] = [];
  if (backend.gate.queueMs > maxWaitMs) parts.push(`a queue of ${(backend.gate.queueMs / 1000).toFixed(1)} s for its create rate`);
  if (backend.gate.breaker === "half_open") parts.push("tried again after failures");
  if (order.includes(backend.name)) return [...parts, `place ${order.indexOf(backend.name) + 1} in routing.order`].join("; ");
  const preferred = preference(preferredColdStart, backend.coldStart);
  if (preferred === 1) parts.push("its cold start is not measured yet");
  if (preferred === 2)
    parts.push(
      `slower to start than preferred (p50 ${milliseconds(backend.coldStart?.p50 ?? 0)}, p90 ${milliseconds(backend.coldStart?.p90 ?? 0)})`,
    );
  const measured = (value: Percentiles | null) => (value === null ? "not measured" : `p50 ${milliseconds(value.p50)}`);
  switch (sort) {
    case "price":
      parts.push(price);
      break;
    case "cold_start":
      parts.push(`cold start ${measured(backend.coldStart)}`);
      break;
    case "exec_latency":
      parts.push(`exec ${measured(backend.execLatency)}`);
      break;
    case "availability":
      parts.push(
        backend.availability === null ? "availability not known" : `${(backend.availability.share * 100).toFixed(1)} % of creates succeed`,
      );
      break;
    case undefined:
      if (trust(backend) < HEALTHY) parts.push(`only ${((backend.availability?.share ?? 0) * 100).toFixed(0)} % of its creates succeed`);
      parts.push(price);
  }
  return parts.join("; ");
}

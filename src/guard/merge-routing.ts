import type { Capability, Routing, RoutingFloor, RouteSort } from "../contract/index.ts";
import { boundFromUsd, type MicroUsd } from "./money/index.ts";

/** Where a sandbox may go, from operator floor, profile and request together. */
export interface MergedRouting {
  readonly order: readonly string[];
  /** undefined: any. */
  readonly only: readonly string[] | undefined;
  readonly ignore: readonly string[];
  readonly allowFallbacks: boolean;
  readonly requireCapabilities: readonly Capability[];
  /** undefined: balanced. */
  readonly sort: RouteSort | undefined;
  /** With the CPU busy throughout. */
  readonly maxPricePerHour: MicroUsd | undefined;
  readonly maxTotalCost: MicroUsd | undefined;
  /** Milliseconds. */
  readonly preferredColdStart: { readonly p50: number; readonly p90: number };
  /** Regions of which the backend's must lie in every one. */
  readonly dataResidency: readonly string[];
  readonly selfHostedOnly: boolean;
  /** Share of time with the CPU busy. */
  readonly dutyCycle: number;
  /** To be tried instead, in turn. */
  readonly profiles: readonly string[];
}

const distinct = <T>(...lists: readonly (readonly T[] | undefined)[]): T[] => [...new Set(lists.flatMap((list) => list ?? []))];

function least(...amounts: readonly (number | undefined)[]): number {
  return Math.min(...amounts.map((amount) => amount ?? Infinity));
}

/**
 * Every bound of the three holds: the lower price, what all of `only` allow, every region that any of them asks for. What only prefers
 * (order, sort, duty cycle, profiles) is the request's, else the profile's. `only: []` means none.
 */
export function mergeRouting(floor: RoutingFloor, profile: Routing, request: Routing, narrowed: (field: string) => void): MergedRouting {
  const layers = [floor, profile, request];
  const allowed = layers.flatMap(({ only }) => (only === undefined ? [] : [only]));
  const only = allowed.length === 0 ? undefined : distinct(...allowed).filter((name) => allowed.every((list) => list.includes(name)));
  if (request.only !== undefined && only !== undefined && request.only.some((name) => !only.includes(name))) narrowed("routing.only");

  const bound = (field: "max_price_per_hour" | "max_total_cost") => {
    const given = least(...layers.map((layer) => layer[field]));
    if (given < (request[field] ?? profile[field] ?? given)) narrowed(`routing.${field}`);
    return given === Infinity ? undefined : boundFromUsd(given);
  };
  const allowFallbacks = layers.every(({ allow_fallbacks }) => allow_fallbacks !== false);
  if (request.allow_fallbacks === true && !allowFallbacks) narrowed("routing.allow_fallbacks");
  const preferred = [profile.preferred_max_cold_start, request.preferred_max_cold_start];

  return {
    order: request.order ?? profile.order ?? [],
    only,
    ignore: distinct(...layers.map(({ ignore }) => ignore)),
    allowFallbacks,
    requireCapabilities: distinct(...layers.map(({ require_capabilities }) => require_capabilities)),
    sort: request.sort ?? profile.sort,
    maxPricePerHour: bound("max_price_per_hour"),
    maxTotalCost: bound("max_total_cost"),
    preferredColdStart: { p50: least(...preferred.map((one) => one?.p50)), p90: least(...preferred.map((one) => one?.p90)) },
    dataResidency: distinct(layers.flatMap(({ data_residency }) => data_residency ?? [])),
    selfHostedOnly: layers.some(({ self_hosted_only }) => self_hosted_only === true),
    dutyCycle: request.duty_cycle ?? profile.duty_cycle ?? 1,
    profiles: request.profiles ?? profile.profiles ?? [],
  };
}

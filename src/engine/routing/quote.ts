import type { Price, RouteCost } from "../../contract/index.ts";
import { allocationOf, expectedCost, largestCost, type MicroUsd, ratePerHour } from "../../guard/index.ts";
import type { RouteRequest } from "./snapshot.ts";

/** What a backend would cost for a request. */
export interface Quote {
  readonly cost: RouteCost;
  /** With the CPU busy throughout. */
  readonly largestPerHour: MicroUsd;
  readonly atMost: MicroUsd | null;
}

/** null where the price is not known. */
export function quote(request: RouteRequest, price: Price | null): Quote | null {
  if (price === null) return null;
  const allocation = allocationOf(request.resources);
  const { dutyCycle } = request.routing;
  const atMost = largestCost(price, allocation, { seconds: request.maxLife, egressBytes: request.egressBytes });
  return {
    cost: {
      per_hour_micro_usd: ratePerHour(price, allocation, dutyCycle),
      expected_micro_usd: expectedCost(price, allocation, request.ttl, dutyCycle),
      at_most_micro_usd: atMost,
      source: price.source,
      effective: price.effective,
      confidence: price.confidence,
    },
    largestPerHour: ratePerHour(price, allocation),
    atMost,
  };
}

import type { Route, RouteCandidate } from "../contract/index.ts";
import { type Eligible, inOrder, why } from "./routing/order.ts";
import { quote } from "./routing/quote.ts";
import { refuse, type Refusal } from "./routing/refuse.ts";
import type { RouteBackend, RouteRequest } from "./routing/snapshot.ts";

export interface Ranking {
  readonly route: Route;
  /** Backends to try, best first; only the first unless fallbacks are allowed. */
  readonly ranked: readonly string[];
  /** Of every backend that was rejected: all that stands against it. */
  readonly refused: readonly { readonly backend: string; readonly refusals: readonly Refusal[] }[];
}

/**
 * Ranks backends for a request: pure, so that the same request and the same snapshot always give the same ranking, in whatever order
 * the backends are given; every backend has a reason.
 *
 * @param maxWaitMs a backend with a longer queue stands behind those without.
 */
export function route(request: RouteRequest, backends: readonly RouteBackend[], maxWaitMs: number): Ranking {
  const { routing } = request;
  const { order, allowFallbacks, only } = routing;
  const known = new Set(backends.map(({ name }) => name));
  const unknown = [...new Set([...order, ...(only ?? [])])].filter((name) => !known.has(name));
  const refused: { backend: string; refusals: readonly Refusal[] }[] = unknown.map((backend) => ({
    backend,
    refusals: [{ kind: "choice", reason: "no backend of that name is configured" }],
  }));
  const taken: Eligible[] = [];
  const looked = backends.toSorted((a, b) => a.place - b.place).map((backend) => ({ backend, quote: quote(request, backend.price) }));
  for (const one of looked) {
    const refusals = refuse(request, one.backend, one.quote);
    if (refusals.length === 0) taken.push(one);
    else refused.push({ backend: one.backend.name, refusals });
  }
  const eligible = inOrder(routing, taken, maxWaitMs);
  const [chosen] = eligible;
  const facts = new Map(looked.map((one) => [one.backend.name, factsOf(one)]));
  const reasons = ({ refusals }: (typeof refused)[number]) => refusals.map(({ reason }) => reason).join("; ");
  const candidates: RouteCandidate[] = [
    ...eligible.map((one): RouteCandidate => {
      const because = why(routing, one, maxWaitMs);
      const reason =
        one === chosen
          ? `meets every requirement; ${because}`
          : `${allowFallbacks ? "fallback" : "not tried: fallbacks are not allowed"}; ${because}`;
      return { backend: one.backend.name, verdict: one === chosen ? "chosen" : "eligible", reason, ...facts.get(one.backend.name) };
    }),
    ...refused.map((one): RouteCandidate => ({
      backend: one.backend,
      verdict: "rejected",
      reason: reasons(one),
      ...facts.get(one.backend),
    })),
  ];
  return {
    route: {
      chosen: chosen?.backend.name ?? null,
      reason:
        chosen === undefined
          ? `no backend: ${refused.map((one) => `${one.backend} ${reasons(one)}`).join("; ") || "none is configured"}`
          : `${chosen.backend.name}: ${candidates[0]?.reason ?? ""}`,
      candidates,
      sort: routing.sort ?? "balanced",
      duty_cycle: routing.dutyCycle,
    },
    ranked: (allowFallbacks ? eligible : eligible.slice(0, 1)).map(({ backend }) => backend.name),
    refused,
  };
}

/** What the decision looked at, kept with it. */
function factsOf({ backend, quote }: Eligible): Omit<RouteCandidate, "backend" | "verdict" | "reason"> {
  return {
    cost: quote?.cost ?? null,
    cold_start_ms: backend.coldStart,
    exec_ms: backend.execLatency,
    availability: backend.availability?.share ?? null,
    breaker: backend.gate.breaker,
    queue_ms: Math.ceil(backend.gate.queueMs),
  };
}

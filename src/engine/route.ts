import {
  type Bounds,
  formatBytes,
  formatDuration,
  ISOLATION_LEVELS,
  type IsolationLevel,
  meetsIsolation,
  type Resources,
  type Route,
  type RouteCandidate,
  type Traits,
} from "../contract/index.ts";
import type { MergedRouting } from "../guard/index.ts";
import { NOT_IN_THIS_VERSION, type Requirement } from "./requirements.ts";

export interface RouteRequest {
  readonly routing: MergedRouting;
  readonly requirements: readonly Requirement[];
  readonly isolationMin: IsolationLevel;
  readonly resources: Resources;
  /** Seconds. */
  readonly maxLife: number;
}

export interface RouteBackend {
  readonly name: string;
  readonly traits: Traits;
}

/** Why a backend cannot take a sandbox: the kind decides the error code where none can. */
type Refusal =
  | { readonly kind: "choice" | "unavailable" | "isolation" | "limit"; readonly reason: string }
  | { readonly kind: "capability"; readonly reason: string; readonly missing: readonly Requirement[] };

export interface Ranking {
  readonly route: Route;
  /** Backends to try, best first; only the first unless fallbacks are allowed. */
  readonly ranked: readonly string[];
  /** Of every backend that was rejected. */
  readonly refusals: readonly (Refusal & { readonly backend: string })[];
}

function outside(amount: number, bounds: Bounds | undefined): boolean {
  return bounds !== undefined && (amount < (bounds.min ?? -Infinity) || amount > (bounds.max ?? Infinity));
}

function overLimit({ resources, maxLife }: RouteRequest, { limits }: Traits): string | undefined {
  if (outside(resources.cpu, limits.cpu))
    return `resources.cpu ${resources.cpu} is outside what it gives (${limits.cpu?.min ?? 0} to ${limits.cpu?.max ?? "any"})`;
  const sizes = [
    ["resources.memory", resources.memory_bytes, limits.memory_bytes],
    ["resources.disk", resources.disk_bytes, limits.disk_bytes],
  ] as const;
  for (const [field, amount, bounds] of sizes) {
    if (outside(amount, bounds))
      return `${field} ${formatBytes(amount)} is outside what it gives (${formatBytes(bounds?.min ?? 0)} to ${bounds?.max === undefined ? "any" : formatBytes(bounds.max)})`;
  }
  if (outside(resources.pids, limits.pids)) return `resources.pids ${resources.pids} is outside what it gives`;
  if (maxLife > (limits.ttl_seconds?.max ?? Infinity))
    return `max_life ${formatDuration(maxLife)} is longer than it allows (${formatDuration(limits.ttl_seconds?.max ?? 0)})`;
  return undefined;
}

function refuse(request: RouteRequest, { name, traits }: RouteBackend): Refusal | undefined {
  const { routing, isolationMin } = request;
  if (routing.only !== undefined && !routing.only.includes(name)) return { kind: "choice", reason: "not in routing.only" };
  if (routing.ignore.includes(name)) return { kind: "choice", reason: "named in routing.ignore" };
  if (!routing.allowFallbacks && routing.order.length > 0 && !routing.order.includes(name))
    return { kind: "choice", reason: "not in routing.order, and fallbacks are not allowed" };
  if (traits.unavailable !== undefined) return { kind: "unavailable", reason: `unavailable: ${traits.unavailable}` };
  const missing = request.requirements.filter(
    ({ capability }) => traits.capabilities[capability] === undefined || NOT_IN_THIS_VERSION.has(capability),
  );
  if (missing.length > 0)
    return {
      kind: "capability",
      missing,
      reason: missing.map(({ capability, field }) => `lacks ${capability}, which ${field} needs`).join("; "),
    };
  if (!traits.isolation.some(({ level }) => meetsIsolation(level, isolationMin))) {
    const best = traits.isolation
      .map(({ level }) => level)
      .toSorted((a, b) => ISOLATION_LEVELS.indexOf(b) - ISOLATION_LEVELS.indexOf(a))[0];
    return {
      kind: "isolation",
      reason:
        best === undefined
          ? `offers no isolation level, and ${isolationMin} is required`
          : `its strongest isolation is ${best}, below ${isolationMin}`,
    };
  }
  const limit = overLimit(request, traits);
  return limit === undefined ? undefined : { kind: "limit", reason: limit };
}

/**
 * Ranks backends for a request: those of `routing.order` first, then the others as they stand in the configuration.
 * Pure: the same request and traits always give the same ranking, and every backend has a reason.
 */
export function route(request: RouteRequest, backends: readonly RouteBackend[]): Ranking {
  const { order, allowFallbacks, only } = request.routing;
  const place = (name: string) => (order.includes(name) ? order.indexOf(name) : order.length);
  const sorted = backends.toSorted((a, b) => place(a.name) - place(b.name));
  const known = new Set(backends.map((backend) => backend.name));
  const unknown = [...new Set([...order, ...(only ?? [])])].filter((name) => !known.has(name));

  const refusals: (Refusal & { backend: string })[] = unknown.map((backend) => ({
    backend,
    kind: "choice",
    reason: "no backend of that name is configured",
  }));
  const eligible: RouteBackend[] = [];
  for (const backend of sorted) {
    const refusal = refuse(request, backend);
    if (refusal === undefined) eligible.push(backend);
    else refusals.push({ ...refusal, backend: backend.name });
  }
  const [chosen] = eligible;
  const why = ({ name }: RouteBackend) =>
    order.includes(name) ? `place ${order.indexOf(name) + 1} in routing.order` : "configuration order";
  const candidates: RouteCandidate[] = [
    ...eligible.map((backend): RouteCandidate => {
      const first = backend === chosen;
      return {
        backend: backend.name,
        verdict: first ? "chosen" : "eligible",
        reason: first
          ? `meets every requirement; ${why(backend)}`
          : `${allowFallbacks ? "fallback" : "not tried: fallbacks are not allowed"}; ${why(backend)}`,
      };
    }),
    ...refusals.map(({ backend, reason }): RouteCandidate => ({ backend, verdict: "rejected", reason })),
  ];
  const summary =
    chosen === undefined
      ? `no backend: ${refusals.map(({ backend, reason }) => `${backend} ${reason}`).join("; ") || "none is configured"}`
      : `${chosen.name}: ${candidates[0]?.reason ?? ""}`;
  return {
    route: { chosen: chosen?.name ?? null, reason: summary, candidates },
    ranked: (allowFallbacks ? eligible : eligible.slice(0, 1)).map(({ name }) => name),
    refusals,
  };
}

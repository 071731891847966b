import {
  type Bounds,
  formatBytes,
  formatDuration,
  formatUsd,
  ISOLATION_LEVELS,
  type IsolationLevel,
  meetsIsolation,
  type Traits,
} from "../../contract/index.ts";
import type { MicroUsd } from "../../guard/index.ts";
import { NOT_IN_THIS_VERSION, type Requirement } from "../requirements.ts";
import type { Quote } from "./quote.ts";
import type { RouteBackend, RouteRequest } from "./snapshot.ts";

/** Why a backend cannot take a sandbox: the kind decides the error code where none can. `bound`: a limit of money or place, by its field. */
export type Refusal =
  | { readonly kind: "choice" | "unavailable" | "isolation" | "limit"; readonly reason: string }
  | { readonly kind: "breaker"; readonly reason: string; readonly retryAfterMs: number }
  | { readonly kind: "bound"; readonly reason: string; readonly field: string }
  | { readonly kind: "capability"; readonly reason: string; readonly missing: readonly Requirement[] };

function outside(amount: number, bounds: Bounds | undefined): boolean {
  return bounds !== undefined && (amount < (bounds.min ?? -Infinity) || amount > (bounds.max ?? Infinity));
}

function* overLimit({ resources, maxLife }: RouteRequest, { limits }: Traits): Generator<Refusal> {
  const limit = (reason: string): Refusal => ({ kind: "limit", reason });
  if (outside(resources.cpu, limits.cpu))
    yield limit(`resources.cpu ${resources.cpu} is outside what it gives (${limits.cpu?.min ?? 0} to ${limits.cpu?.max ?? "any"})`);
  const sizes = [
    ["resources.memory", resources.memory_bytes, limits.memory_bytes],
    ["resources.disk", resources.disk_bytes, limits.disk_bytes],
  ] as const;
  for (const [field, amount, bounds] of sizes) {
    if (outside(amount, bounds))
      yield limit(
        `${field} ${formatBytes(amount)} is outside what it gives (${formatBytes(bounds?.min ?? 0)} to ${bounds?.max === undefined ? "any" : formatBytes(bounds.max)})`,
      );
  }
  if (outside(resources.pids, limits.pids)) yield limit(`resources.pids ${resources.pids} is outside what it gives`);
  if (maxLife > (limits.ttl_seconds?.max ?? Infinity))
    yield limit(`max_life ${formatDuration(maxLife)} is longer than it allows (${formatDuration(limits.ttl_seconds?.max ?? 0)})`);
}

function excluded({ routing }: RouteRequest, name: string): string | undefined {
  if (routing.only !== undefined && !routing.only.includes(name)) return "not in routing.only";
  if (routing.ignore.includes(name)) return "named in routing.ignore";
  if (!routing.allowFallbacks && routing.order.length > 0 && !routing.order.includes(name))
    return "not in routing.order, and fallbacks are not allowed";
  return undefined;
}

function tooWeak(traits: Traits, isolationMin: IsolationLevel): string | undefined {
  if (traits.isolation.some(({ level }) => meetsIsolation(level, isolationMin))) return undefined;
  const best = traits.isolation.map(({ level }) => level).toSorted((a, b) => ISOLATION_LEVELS.indexOf(b) - ISOLATION_LEVELS.indexOf(a))[0];
  return best === undefined
    ? `offers no isolation level, and ${isolationMin} is required`
    : `its strongest isolation is ${best}, below ${isolationMin}`;
}

/** Whether what lies in `region` lies in `wanted`: `eu-west-1` in `eu`. */
export function liesIn(region: string, wanted: string): boolean {
  return region === wanted || region.startsWith(`${wanted}-`);
}

function* outOfBounds({ routing }: RouteRequest, backend: RouteBackend, quote: Quote | null): Generator<Refusal> {
  const bound = (field: string, reason: string): Refusal => ({ kind: "bound", field: `routing.${field}`, reason });
  for (const wanted of routing.dataResidency) {
    if (backend.region === undefined) yield bound("data_residency", `its region is not known, and ${wanted} is required`);
    else if (!liesIn(backend.region, wanted)) yield bound("data_residency", `its region is ${backend.region}, not ${wanted}`);
  }
  if (routing.selfHostedOnly && backend.selfHosted !== true)
    yield bound(
      "self_hosted_only",
      backend.selfHosted === undefined
        ? "it is not known to be self-hosted, which is required"
        : "it is not self-hosted, which is required",
    );
  const amounts: [string, MicroUsd | undefined, MicroUsd | null, string][] = [
    ["max_price_per_hour", routing.maxPricePerHour, quote?.largestPerHour ?? null, "an hour with its CPU busy"],
    ["max_total_cost", routing.maxTotalCost, quote?.atMost ?? null, "over max_life"],
  ];
  for (const [field, most, amount, span] of amounts) {
    if (most === undefined) continue;
    const limit = `routing.${field} is ${formatUsd(most)}`;
    if (amount === null) yield bound(field, `what it may cost ${span} is not known, and ${limit}`);
    else if (amount > most) yield bound(field, `it may cost ${formatUsd(amount)} ${span}, and ${limit}`);
  }
}

/** Everything that stands against a backend. What was excluded by choice, or is not there, is not looked at further. */
export function refuse(request: RouteRequest, backend: RouteBackend, quote: Quote | null): readonly Refusal[] {
  const { name, traits } = backend;
  const choice = excluded(request, name);
  if (choice !== undefined) return [{ kind: "choice", reason: choice }];
  if (traits.unavailable !== undefined) return [{ kind: "unavailable", reason: `unavailable: ${traits.unavailable}` }];
  const found: Refusal[] = backend.full === undefined ? [] : [{ kind: "unavailable", reason: backend.full }];
  const missing = request.requirements.filter(
    ({ capability }) => traits.capabilities[capability] === undefined || NOT_IN_THIS_VERSION.has(capability),
  );
  if (missing.length > 0)
    found.push({
      kind: "capability",
      missing,
      reason: missing.map(({ capability, field }) => `lacks ${capability}, which ${field} needs`).join("; "),
    });
  const weak = tooWeak(traits, request.isolationMin);
  if (weak !== undefined) found.push({ kind: "isolation", reason: weak });
  found.push(...overLimit(request, traits), ...outOfBounds(request, backend, quote));
  const { breaker, retryAfterMs } = backend.gate;
  if (breaker === "open" || breaker === "probing")
    found.push({
      kind: "breaker",
      retryAfterMs,
      reason: `left alone for ${formatDuration(Math.max(1, Math.ceil(retryAfterMs / 1000)))} more: its last creates failed`,
    });
  return found;
}

import type { EgressPolicy, EgressRule } from "../../../contract/network.ts";
import { addressText, classifyAddress, rangeHas, readRange } from "./address.ts";
import { hostMatches } from "./host.ts";
import { pathMatches } from "./path.ts";

/**
 * What both policies allow; the rules keep the ids of the first. Never wider than either. Where two path patterns overlap without one
 * naming all of the other, what they share is left out.
 */
export function narrowPolicy(policy: EgressPolicy, bound: EgressPolicy): EgressPolicy {
  return {
    mode: policy.mode === "audit" && bound.mode === "audit" ? "audit" : "enforce",
    rules: policy.rules.flatMap((rule) => bound.rules.flatMap((other) => shared(rule, other) ?? [])),
    limits: {
      connections: Math.min(policy.limits.connections, bound.limits.connections),
      bytesPerSecond: smaller(policy.limits.bytesPerSecond, bound.limits.bytesPerSecond),
      bytes: smaller(policy.limits.bytes, bound.limits.bytes),
      idleMs: Math.min(policy.limits.idleMs, bound.limits.idleMs),
    },
  };
}

function smaller(one: number | null, other: number | null): number | null {
  return one === null ? other : other === null ? one : Math.min(one, other);
}

function shared(rule: EgressRule, other: EgressRule): EgressRule | undefined {
  const place = rule.host === undefined ? sharedRange(rule.cidr, other.cidr) : sharedHost(rule.host, other.host);
  const ports = rule.ports.filter((port) => other.ports.includes(port));
  if (place === undefined || ports.length === 0) return undefined;
  const methods = both(rule.methods, other.methods, (one, two) => (one === two ? one : undefined));
  const paths = both(rule.paths, other.paths, (one, two) => (pathMatches(one, two) ? two : pathMatches(two, one) ? one : undefined));
  // Empty lists stay: such a rule allows no request, and still says that the connection is looked into.
  return {
    id: rule.id,
    ...place,
    ports,
    ...(methods === undefined ? {} : { methods }),
    ...(paths === undefined ? {} : { paths }),
    tls: rule.tls === "inspect" || other.tls === "inspect" ? "inspect" : "passthrough",
    websocket: rule.websocket && other.websocket,
  };
}

function both(
  one: readonly string[] | undefined,
  other: readonly string[] | undefined,
  meet: (one: string, other: string) => string | undefined,
): readonly string[] | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  return [...new Set(one.flatMap((left) => other.flatMap((right) => meet(left, right) ?? [])))];
}

function sharedHost(one: string, other: string | undefined): { host: string } | undefined {
  if (other === undefined) return undefined;
  if (one === other || names(other, one)) return { host: one };
  return names(one, other) ? { host: other } : undefined;
}

/** Whether the first pattern names everything that the second does. */
function names(pattern: string, other: string): boolean {
  return hostMatches(pattern, other.startsWith("*.") ? other.slice(1) : other);
}

function sharedRange(one: string | undefined, other: string | undefined): { cidr: string } | undefined {
  if (one === undefined || other === undefined) return undefined;
  if (one === other) return { cidr: one };
  const [left, right] = [readRange(one), readRange(other)];
  if (typeof left === "string" || typeof right === "string") return undefined;
  const [small, large] = left.bits > right.bits ? [left, right] : [right, left];
  if (!rangeHas(large, addressText(small.base))) return undefined;
  // A range does not open a private address in it; only the rule for exactly that one does, and both must have it.
  if (small.bits === 32 && classifyAddress(addressText(small.base)).kind !== "public") return undefined;
  return { cidr: `${addressText(small.base)}/${small.bits}` };
}

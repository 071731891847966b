import type { EgressLimits, EgressPolicy, EgressRule, Network, NetworkFloor, NetworkLimits } from "../contract/index.ts";
import { compilePolicy, narrowPolicy } from "./egress/policy/index.ts";

/** What a request may say of the network: less than the profile does. */
export type NetworkRequest = Pick<Network, "mode" | "allow" | "limits">;

/** A sandbox's egress, from operator, profile and request. */
export interface MergedNetwork {
  /** What is in force. */
  readonly policy: EgressPolicy;
  /** Profile and floor: what a later change may ask for at most. */
  readonly ceiling: EgressPolicy;
}

/** The limits that are given, as the boundary counts them. */
function given({ connections, bandwidth, bytes, idle }: NetworkLimits): [name: string, key: keyof EgressLimits, value: number][] {
  const all = [
    ["connections", "connections", connections],
    ["bandwidth", "bytesPerSecond", bandwidth],
    ["bytes", "bytes", bytes],
    ["idle", "idleMs", idle === undefined ? undefined : Math.ceil(idle * 1000)],
  ] as const;
  return all.flatMap(([name, key, value]) => (value === undefined ? [] : [[name, key, value]]));
}

/** The bounds with those that are given in their place where they are smaller; names what was asked for larger. */
function narrowLimits(bounds: EgressLimits, asked: NetworkLimits, narrowed: (field: string) => void): EgressLimits {
  const result: { -readonly [Key in keyof EgressLimits]: EgressLimits[Key] } = { ...bounds };
  for (const [name, key, value] of given(asked)) {
    const bound = bounds[key];
    if (bound !== null && bound < value) narrowed(`network.limits.${name}`);
    else result[key] = value;
  }
  return result;
}

const content = (rule: EgressRule): string => JSON.stringify({ ...rule, id: "" });

/** Names rules of which less is given than was asked for. */
function compareRules(asked: readonly EgressRule[], given: readonly EgressRule[], narrowed: (field: string) => void): void {
  for (const rule of asked) {
    const kept = given.some((other) => other.id === rule.id && content(other) === content(rule));
    if (!kept) narrowed(`network.${rule.id}`);
  }
}

/** No two rules that say the same: overlapping bounds give some of them twice. */
function once(policy: EgressPolicy): EgressPolicy {
  const seen = new Set<string>();
  const rules = policy.rules.filter((rule) => {
    const text = content(rule);
    return !seen.has(text) && seen.add(text);
  });
  return { ...policy, rules };
}

/** The profile within the operator's floor. Mode audit would go around the floor's list, so where there is one it is off. */
function ceilingOf(floor: NetworkFloor, profile: Network, narrowed: (field: string) => void): EgressPolicy {
  const asked = compilePolicy(profile);
  const mode = floor.audit === false || floor.allow !== undefined ? "enforce" : asked.mode;
  if (mode !== asked.mode) narrowed("network.mode");
  const bound: EgressPolicy = floor.allow === undefined ? asked : compilePolicy({ allow: floor.allow }, "floor.network");
  const { rules } = once(floor.allow === undefined ? asked : narrowPolicy(asked, bound));
  compareRules(asked.rules, rules, narrowed);
  // Where the floor alone says something, the default is the asked one: only what a profile writes is named as narrowed.
  const floored = narrowLimits(asked.limits, floor.limits ?? {}, () => {});
  narrowLimits(floored, profile.limits ?? {}, narrowed);
  return { mode, rules, limits: floored };
}

/**
 * A policy within a ceiling: never wider, in any rule, mode or limit. Without `allow` the ceiling's rules hold.
 *
 * @throws SandboxerError `invalid_request` for a rule that cannot be enforced as it is written.
 */
export function narrowNetwork(ceiling: EgressPolicy, request: NetworkRequest, narrowed: (field: string) => void): EgressPolicy {
  const limits = narrowLimits(ceiling.limits, request.limits ?? {}, narrowed);
  const mode = (request.mode ?? ceiling.mode) === "audit" && ceiling.mode === "audit" ? "audit" : "enforce";
  if (request.mode === "audit" && mode !== "audit") narrowed("network.mode");
  if (request.allow === undefined) return { mode, rules: ceiling.rules, limits };
  const asked = compilePolicy({ allow: request.allow });
  const { rules } = once(narrowPolicy(asked, ceiling));
  compareRules(asked.rules, rules, narrowed);
  return { mode, rules, limits };
}

/** Operator floor, profile and request in one; null where nothing can be reached whatever is asked for. */
export function mergeNetwork(
  floor: NetworkFloor,
  profile: Network,
  request: NetworkRequest | undefined,
  narrowed: (field: string) => void,
): MergedNetwork | null {
  const ceiling = ceilingOf(floor, profile, request?.allow === undefined ? narrowed : () => {});
  const policy = request === undefined ? ceiling : narrowNetwork(ceiling, request, narrowed);
  return ceiling.rules.length === 0 && ceiling.mode === "enforce" ? null : { policy, ceiling };
}

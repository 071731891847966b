import { type EgressPolicy, type EgressRule, SandboxerError, type Issue } from "../../../contract/index.ts";
import type { AllowRule, Network } from "../../../contract/network.ts";
import { addressText, classifyAddress, readRange } from "./address.ts";
import { patternFault } from "./host.ts";

/** What holds where a profile gives no limit. */
export const LIMIT_DEFAULTS = { connections: 1024, bytesPerSecond: null, bytes: null, idleMs: 600_000 } as const;

/**
 * A profile's network as the boundary reads it: every default filled in, hosts and ranges in their canonical form. Nothing listed, nothing
 * allowed. `at` is where the network stands, for the issues' paths.
 *
 * @throws SandboxerError `invalid_request`, with an issue for each rule that cannot be enforced as it is written.
 */
export function compilePolicy(network: Network, at = "network"): EgressPolicy {
  const issues: Issue[] = [];
  const rules = (network.allow ?? []).map((rule, index) => {
    const path = `${at}.allow[${index}]`;
    issues.push(...faults(rule, path));
    return compileRule(rule, `allow[${index}]`);
  });
  const [first] = issues;
  if (first !== undefined) {
    const more = issues.length > 1 ? ` (and ${issues.length - 1} more)` : "";
    throw new SandboxerError("invalid_request", `${first.path}: ${first.message}${more}`, { issues });
  }
  const { connections, bandwidth, bytes, idle } = network.limits ?? {};
  return {
    mode: network.mode ?? "enforce",
    rules,
    limits: {
      connections: connections ?? LIMIT_DEFAULTS.connections,
      bytesPerSecond: bandwidth ?? LIMIT_DEFAULTS.bytesPerSecond,
      bytes: bytes ?? LIMIT_DEFAULTS.bytes,
      idleMs: idle === undefined ? LIMIT_DEFAULTS.idleMs : Math.ceil(idle * 1000),
    },
  };
}

function compileRule(rule: AllowRule, id: string): EgressRule {
  return {
    id,
    ...(rule.host === undefined ? {} : { host: rule.host.toLowerCase() }),
    ...(rule.cidr === undefined ? {} : { cidr: canonicalRange(rule.cidr) }),
    ports: rule.ports ?? [443],
    ...(rule.methods === undefined ? {} : { methods: rule.methods }),
    ...(rule.paths === undefined ? {} : { paths: rule.paths }),
    tls: rule.tls ?? "passthrough",
    websocket: rule.websocket ?? false,
  };
}

function canonicalRange(text: string): string {
  const range = readRange(text);
  return typeof range === "string" ? text : `${addressText(range.base)}/${range.bits}`;
}

function faults(rule: AllowRule, path: string): Issue[] {
  const issues: Issue[] = [];
  const hostProblem = rule.host === undefined ? null : patternFault(rule.host);
  if (hostProblem !== null) issues.push({ path: `${path}.host`, message: hostProblem });
  const rangeProblem = rule.cidr === undefined ? null : rangeFault(rule.cidr);
  if (rangeProblem !== null) issues.push({ path: `${path}.cidr`, message: rangeProblem });
  // Nobody can look for a method in TLS that is passed through: such a rule would be a wider one than it says.
  const tlsPort = (rule.ports ?? [443]).includes(443);
  if (rule.tls !== "inspect" && tlsPort) {
    for (const field of ["methods", "paths"] as const) {
      if (rule[field] !== undefined)
        issues.push({ path: `${path}.${field}`, message: "on port 443 needs tls: inspect", nearest: "inspect" });
    }
  }
  return issues;
}

function rangeFault(text: string): string | null {
  const range = readRange(text);
  if (typeof range === "string") return range;
  const { kind, name } = classifyAddress(addressText(range.base));
  return range.bits === 32 && kind === "never" ? `is never reachable (${name})` : null;
}

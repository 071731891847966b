import type { DenyReason, EgressPolicy, EgressRule } from "../../../contract/network.ts";
import type { Decision, RequestQuestion, Target } from "../inspect/types.ts";
import { classifyAddress, rangeHas, readRange } from "./address.ts";
import { hostMatches, isAddress } from "./host.ts";
import { pathMatches } from "./path.ts";

/** What is known of a connection: `any` before its first bytes, `tcp` where these are neither TLS nor HTTP. */
export interface ConnectionQuestion extends Target {
  readonly protocol: "any" | "tls" | "http" | "tcp";
}

export interface ConnectionDecision extends Decision {
  /** Its content is looked into: each request is then asked for with {@link decide}. */
  readonly inspect: boolean;
}

/** On these only TLS and HTTP go through, by host rules: whoever names a host there has to say which in a form that can be read. */
const NAMED_PORTS: readonly number[] = [80, 443];

/** What the policy says to one request that was read. Pure; the host is canonical, the path normalised. */
export function decide(policy: EgressPolicy, question: RequestQuestion): Decision {
  const reachable = reaching(policy, question);
  if (!Array.isArray(reachable)) return reachable;
  const tries: readonly [DenyReason, string, (rule: EgressRule) => boolean][] = [
    ["method", `the method ${question.method}`, ({ methods }) => methods?.includes(question.method) ?? true],
    ["path", `the path ${question.path}`, ({ paths }) => paths?.some((pattern) => pathMatches(pattern, question.path)) ?? true],
    ["websocket", "a WebSocket", ({ websocket }) => websocket || !question.websocket],
  ];
  let left = reachable;
  for (const [reason, what, passes] of tries) {
    const [first] = left;
    left = left.filter(passes);
    if (left.length > 0) continue;
    return denied(policy, reason, `${first?.id ?? "no rule"} does not allow ${what} at ${question.host}:${question.port}`);
  }
  return allowed(left[0]);
}

/** What the policy says to a connection, as far as it can be told before a request is read. Pure; the host is canonical. */
export function decideConnection(policy: EgressPolicy, question: ConnectionQuestion): ConnectionDecision {
  const { host, port, protocol } = question;
  const reachable = reaching(policy, question);
  if (!Array.isArray(reachable)) return { ...reachable, inspect: reachable.verdict !== "deny" && protocol === "http" };
  const inspecting = reachable.find(({ tls }) => tls === "inspect");
  if (protocol === "http") return { ...allowed(reachable[0]), inspect: true };
  if (protocol === "any") return { ...allowed(reachable[0]), inspect: inspecting !== undefined };
  if (inspecting !== undefined) {
    if (protocol === "tls") return { ...allowed(inspecting), inspect: true };
    return { ...denied(policy, "protocol", `${inspecting.id} lets only HTTP and TLS to ${host}:${port}`), inspect: false };
  }
  const whole = reachable.find(({ methods, paths }) => methods === undefined && paths === undefined);
  if (whole === undefined) {
    const detail = `${reachable[0]?.id} names methods or paths, which cannot be seen here; ask for tls: inspect in it`;
    return { ...denied(policy, "protocol", detail), inspect: false };
  }
  if (protocol === "tcp" && !isAddress(host) && NAMED_PORTS.includes(port)) {
    return { ...denied(policy, "protocol", `only TLS and HTTP may go to ${host}:${port}`), inspect: false };
  }
  return { ...allowed(whole), inspect: false };
}

/** Whether a canonical name is answered at all: some rule names it, on whatever port; in audit mode every one is. */
export function answersName(policy: EgressPolicy, host: string): boolean {
  return policy.mode === "audit" || policy.rules.some((rule) => rule.host !== undefined && hostMatches(rule.host, host));
}

/**
 * Why an address, which an allowed name has resolved to or which was asked for, may not be dialled; null where it may. `own`: the host's
 * own addresses, which count as private. Audit mode changes nothing here.
 */
export function addressFault(policy: EgressPolicy, address: string, port: number, own: ReadonlySet<string>): string | null {
  const { kind, name } = classifyAddress(address);
  if (kind === "never") return `${address} is never reachable (${name})`;
  if (kind === "public" && !own.has(address)) return null;
  if (policy.rules.some((rule) => rule.cidr === `${address}/32` && rule.ports.includes(port))) return null;
  const what = own.has(address) ? "an address of the host" : name;
  return `${address} is ${what}, and is reached only by a rule for exactly it; ask for {cidr: ${address}/32, ports: [${port}]}`;
}

/** The rules that name host and port; what to answer where none does. */
function reaching(policy: EgressPolicy, { host, port }: Target): EgressRule[] | Decision {
  const address = isAddress(host);
  const fault = address ? addressFault(policy, host, port, new Set()) : null;
  if (fault !== null) return { verdict: "deny", rule: null, reason: "address_forbidden", detail: fault };
  const named = policy.rules.filter((rule) => (address ? inRange(rule, host) : rule.host !== undefined && hostMatches(rule.host, host)));
  const found = named.filter(({ ports }) => ports.includes(port));
  if (found.length > 0) return found;
  const wanted = `ask for {${address ? `cidr: ${host}/32` : `host: ${host}`}, ports: [${port}]} in network.allow`;
  const [near] = named;
  if (near === undefined) return denied(policy, "no_rule", `no rule allows ${host}; ${wanted}`);
  return denied(policy, "port", `${near.id} allows ${host} on port ${near.ports.join(", ")}, not ${port}; ${wanted}`);
}

function inRange({ cidr }: EgressRule, address: string): boolean {
  const range = cidr === undefined ? "" : readRange(cidr);
  return typeof range !== "string" && rangeHas(range, address);
}

function allowed(rule: EgressRule | undefined): Decision {
  return { verdict: "allow", rule: rule?.id ?? null, reason: null, detail: null };
}

function denied({ mode }: EgressPolicy, reason: DenyReason, detail: string): Decision {
  if (mode === "audit") return { verdict: "audit", rule: null, reason: null, detail };
  return { verdict: "deny", rule: null, reason, detail };
}

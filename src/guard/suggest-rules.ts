import { isIP } from "node:net";
import type { AllowRule, DenyReason, NetworkVerdict } from "../contract/index.ts";
import { mergePaths } from "./merge-paths.ts";

/** Reasons that a rule can do away with. What else was denied would be denied with any rule, or should be. */
const HELPED: readonly (DenyReason | null)[] = [null, "no_rule", "port", "method", "path", "websocket"];
const DEFAULT_PORTS = [443];

/** How much of a connection was seen: a name alone, bytes, plain requests, or requests inside TLS. */
type Kind = "name" | "bytes" | "http" | "https";

interface Seen {
  readonly host: string;
  readonly kind: Kind;
  readonly ports: Set<number>;
  readonly methods: Set<string>;
  readonly paths: Set<string>;
  websocket: boolean;
}

export interface Suggested {
  readonly allow: AllowRule[];
  /** Entries that the rules were made from. */
  readonly entries: number;
  readonly leftOut: { host: string; reason: string; count: number }[];
}

function kindOf({ protocol, method }: NetworkVerdict): Kind {
  if (protocol === "dns") return "name";
  if (method === null) return "bytes";
  return protocol === "http" ? "http" : "https";
}

function toRule({ host, kind, ports, methods, paths, websocket }: Seen): AllowRule {
  const numbers = [...ports].sort((a, b) => a - b);
  const target = isIP(host) === 4 ? { cidr: `${host}/32` } : { host };
  const usual = numbers.length === 0 || (numbers.length === 1 && numbers[0] === DEFAULT_PORTS[0]);
  return {
    ...target,
    ...(usual ? {} : { ports: numbers }),
    ...(methods.size === 0 ? {} : { methods: [...methods].sort() }),
    ...(paths.size === 0 ? {} : { paths: mergePaths([...paths]) }),
    ...(kind === "https" ? { tls: "inspect" as const } : {}),
    ...(websocket ? { websocket: true } : {}),
  };
}

/** A port whose requests were seen needs no rule for its bytes, and a name that was connected to none for its look-up. */
function withoutCovered(all: readonly Seen[]): Seen[] {
  const requests = (host: string) => all.filter((seen) => seen.host === host && (seen.kind === "http" || seen.kind === "https"));
  return all.flatMap((seen) => {
    if (seen.kind === "name") return all.some(({ host, kind }) => host === seen.host && kind !== "name") ? [] : [seen];
    if (seen.kind !== "bytes") return [seen];
    const covered = new Set(requests(seen.host).flatMap(({ ports }) => [...ports]));
    const ports = new Set([...seen.ports].filter((port) => !covered.has(port)));
    return ports.size === 0 ? [] : [{ ...seen, ports }];
  });
}

/**
 * Rules that would have allowed what was refused, merged by host: ports together, methods and paths only where they were seen.
 * They say what was tried, not what is right: a person decides.
 */
export function suggestRules(entries: readonly NetworkVerdict[]): Suggested {
  const seen = new Map<string, Seen>();
  const leftOut = new Map<string, { host: string; reason: string; count: number }>();
  let used = 0;
  for (const entry of entries) {
    if (entry.verdict === "allow") continue;
    const { host, port, method, path, protocol, reason } = entry;
    if (!HELPED.includes(reason) || host === "" || isIP(host) === 6) {
      const why = isIP(host) === 6 ? "there is no IPv6" : (reason ?? "no name");
      const key = `${host} ${why}`;
      const left = leftOut.get(key) ?? { host, reason: why, count: 0 };
      leftOut.set(key, { ...left, count: left.count + 1 });
      continue;
    }
    used++;
    const kind = kindOf(entry);
    const key = `${host} ${kind}`;
    const one: Seen = seen.get(key) ?? { host, kind, ports: new Set(), methods: new Set(), paths: new Set(), websocket: false };
    seen.set(key, one);
    if (kind !== "name") one.ports.add(port);
    if (method !== null) one.methods.add(method);
    if (path !== null) one.paths.add(path);
    if (protocol === "websocket" || reason === "websocket") one.websocket = true;
  }
  const rules = withoutCovered([...seen.values()]);
  return {
    allow: rules.map(toRule).sort((a, b) => (a.host ?? a.cidr ?? "").localeCompare(b.host ?? b.cidr ?? "")),
    entries: used,
    leftOut: [...leftOut.values()],
  };
}

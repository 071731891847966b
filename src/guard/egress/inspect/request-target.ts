import { Refused } from "./refusal.ts";
import type { Target } from "./types.ts";

const DEFAULT_PORT = { http: 80, https: 443 } as const;

export interface Asked {
  readonly scheme: "http" | "https";
  /** The request's target as it came: a path, `*`, or the absolute form. */
  readonly target: string;
  /** All Host fields, or `:authority`. */
  readonly authorities: readonly string[];
}

/**
 * Where a request goes, and the rest of its target. On a connection that has a target, Host (or `:authority`) and an absolute form must
 * name just that one; on a proxy's connection the absolute form names it and Host must agree.
 */
export function requestTarget(
  asked: Asked,
  fixed: Target | null,
  canonicalHost: (host: string) => string,
): { target: Target; rest: string } {
  const absolute = /^([a-z][a-z0-9+.-]*):\/\/([^/?#]*)(.*)$/i.exec(asked.target);
  if (absolute === null && fixed === null) throw mismatch("A proxy is asked with the whole address in the request line.", 400);
  if (absolute !== null && absolute[1]!.toLowerCase() !== asked.scheme) throw mismatch("The request line names another scheme.");
  const named = absolute === null ? undefined : authority(absolute[2]!, asked.scheme, canonicalHost);
  const target = fixed ?? named!;
  if (asked.authorities.length !== 1) throw mismatch("A request has exactly one Host.", 400);
  for (const one of [named, authority(asked.authorities[0]!, asked.scheme, canonicalHost, target.port)]) {
    if (one !== undefined && (one.host !== target.host || one.port !== target.port)) {
      throw mismatch(`This connection is to ${target.host}:${target.port}; the request names ${one.host}:${one.port}.`);
    }
  }
  const rest = absolute === null ? asked.target : absolute[3]!;
  return { target, rest: rest === "" || rest.startsWith("?") ? `/${rest}` : rest };
}

/** The Host field that is sent: made from the target, never copied. */
export function hostField(scheme: "http" | "https", { host, port }: Target): string {
  return port === DEFAULT_PORT[scheme] ? host : `${host}:${port}`;
}

/** A Host without a port means the connection's own. */
function authority(
  text: string,
  scheme: "http" | "https",
  canonicalHost: (host: string) => string,
  port: number = DEFAULT_PORT[scheme],
): Target {
  const match = /^([^:@[\]]+)(?::([0-9]{1,5}))?$/.exec(text);
  if (match === null) throw mismatch("Host is not a name with a port at most.", 400);
  return { host: canonicalHost(match[1]!), port: match[2] === undefined ? port : Number(match[2]) };
}

function mismatch(detail: string, status = 403): Refused {
  return new Refused("name_mismatch", detail, { status, closes: status === 400 });
}

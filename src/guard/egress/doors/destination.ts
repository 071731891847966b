import type { Decision, Target } from "../inspect/types.ts";
import { canonicalHost, isAddress } from "../policy/index.ts";
import type { Session } from "../session/session.ts";

/** Where a connection goes, as it was asked for: a synthetic address is the name that it stands for. Else why there is no such place. */
export function destinationOf(session: Session, text: string, port: number): Target | Decision {
  const host = canonicalHost(text);
  if (host === undefined)
    return { verdict: "deny", rule: null, reason: "bad_name", detail: "what was asked for is neither a host name nor an IPv4 address" };
  const name = isAddress(host) ? session.names.nameOf(host) : undefined;
  if (name === undefined) return { host, port };
  if (name !== null) return { host: name, port };
  return { verdict: "deny", rule: null, reason: "no_rule", detail: `${host} stands for no name; it was not given out to this sandbox` };
}

/** Writes down a connection that came to an end before its first bytes. */
export function recordRefused(
  session: Session,
  via: "transparent" | "connect" | "socks" | "proxy",
  { host, port }: Target,
  decision: Decision,
): void {
  const none = { address: null, method: null, path: null, secret: null, bytes_up: 0, bytes_down: 0, ms: 0 };
  const { verdict, rule, reason, detail } = decision;
  session.record({
    protocol: "tcp",
    via,
    host: host.replaceAll(/[^\x21-\x7e]/g, "?").slice(0, 255),
    port,
    verdict,
    rule,
    reason,
    detail,
    ...none,
  });
}

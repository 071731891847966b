import type { IncomingHttpHeaders, IncomingMessage } from "node:http";

/** What is between two neighbours only (RFC 9110, 7.6.1). */
const HOP = new Set(["connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "http2-settings"]); // prettier-ignore
/** What is meant for this door, and tokens that a program inside must not see. */
const OURS = new Set(["e2b-sandbox-id", "e2b-sandbox-port", "e2b-traffic-access-token", "x-access-token", "x-api-key"]);

function isPassedOn(name: string, hops: ReadonlySet<string>): boolean {
  return !name.startsWith(":") && !HOP.has(name) && !hops.has(name);
}

/** Headers that `Connection` names are of this hop too. */
function namedHops(connection: string | undefined): ReadonlySet<string> {
  return new Set((connection ?? "").toLowerCase().split(/\s*,\s*/));
}

/** A request's headers as the program inside gets them. */
export function requestHeaders(headers: IncomingHttpHeaders): Record<string, string | string[]> {
  const hops = namedHops(headers.connection);
  const passed: Record<string, string | string[]> = {};
  for (const [name, value] of Object.entries(headers))
    if (value !== undefined && isPassedOn(name, hops) && !OURS.has(name)) passed[name] = value;
  passed["host"] ??= headers.host ?? headers[":authority"]?.toString() ?? "localhost";
  return passed;
}

/** A program's answer as its client gets it. */
export function responseHeaders({ headersDistinct, headers }: IncomingMessage): Record<string, string[]> {
  const hops = namedHops(headers.connection);
  const passed: Record<string, string[]> = {};
  for (const [name, values] of Object.entries(headersDistinct)) if (values !== undefined && isPassedOn(name, hops)) passed[name] = values;
  return passed;
}

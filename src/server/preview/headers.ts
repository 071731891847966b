import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import { passedCookie, theirCookies } from "./cookies.ts";

/** What is between two neighbours only (RFC 9110, 7.6.1). */
const HOP = new Set(["connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "http2-settings", "expect"]); // prettier-ignore
/** What is meant for this server, and what only it may say of a request. */
const OURS = /^(?:x-sandboxer-.*|e2b-sandbox-id|e2b-sandbox-port|e2b-traffic-access-token|forwarded|x-forwarded-.*|x-real-ip)$/;
/** A key of this server, in any header: no program inside is to see one, whatever its sender meant. */
const KEY = /\b(?:sbx|e2b)_[0-9a-f]{40}\b/;

/** Who asked and how, as a program inside is told. */
export interface Forwarded {
  readonly for: string;
  readonly host: string;
  readonly proto: "http" | "https";
  /** Stands before the paths that its links need; empty in the form by host name. */
  readonly prefix: string;
}

type Passed = Record<string, string | string[]>;

/**
 * A request's headers as the program inside gets them: without those between neighbours, ours, our cookies and our keys.
 *
 * @param host What the program takes itself for.
 */
export function requestHeaders(headers: IncomingHttpHeaders, host: string, forwarded: Forwarded): Passed {
  const hops = namedHops(headers.connection);
  const passed: Passed = { host };
  for (const [name, value] of Object.entries(headers)) {
    if (value === undefined || name === "host" || name === "cookie" || !isPassedOn(name, hops) || OURS.test(name)) continue;
    if (KEY.test(String(value))) continue;
    passed[name] = name === "referer" ? withoutToken(String(value)) : value;
  }
  const cookies = theirCookies(headers.cookie);
  if (cookies !== undefined && !KEY.test(cookies)) passed["cookie"] = cookies;
  passed["x-forwarded-for"] = forwarded.for;
  passed["x-forwarded-host"] = forwarded.host;
  passed["x-forwarded-proto"] = forwarded.proto;
  if (forwarded.prefix !== "") passed["x-forwarded-prefix"] = forwarded.prefix;
  return passed;
}

/** A program's answer as its client gets it. */
export function responseHeaders(
  { headersDistinct, headers }: IncomingMessage,
  prefix: string,
  insideHost: string,
): Record<string, string[]> {
  const hops = namedHops(headers.connection);
  const passed: Record<string, string[]> = {};
  for (const [name, values] of Object.entries(headersDistinct)) {
    if (values === undefined || !isPassedOn(name, hops)) continue;
    const kept = name === "set-cookie" ? values.flatMap((line) => passedCookie(line, prefix) ?? []) : values;
    if (kept.length > 0)
      passed[name] = name === "location" && prefix !== "" ? kept.map((to) => locationBelow(to, prefix, insideHost)) : kept;
  }
  return passed;
}

/** Headers that `Connection` names are of this hop too. */
function namedHops(connection: string | undefined): ReadonlySet<string> {
  return new Set((connection ?? "").toLowerCase().split(/\s*,\s*/));
}

function isPassedOn(name: string, hops: ReadonlySet<string>): boolean {
  return !name.startsWith(":") && !HOP.has(name) && !hops.has(name);
}

/** A `Location` of the program's own host or without a host leads below the prefix; one to elsewhere stays as it is. */
function locationBelow(to: string, prefix: string, insideHost: string): string {
  if (to.startsWith("/") && !to.startsWith("//")) return prefix + to;
  const own = /^https?:\/\/([^/?#]*)(.*)$/i.exec(to);
  return own?.[1]?.toLowerCase() === insideHost ? `${prefix}${own[2]?.startsWith("/") === true ? "" : "/"}${own[2] ?? ""}` : to;
}

/** Name of what stands in the query of an address that lets its holder in. */
export const TOKEN_PARAMETER = "sbx_token";

/** A path and query, or an address, without the token; everything else is left as it was written. */
export function withoutToken(url: string): string {
  const at = url.indexOf("?");
  if (at === -1) return url;
  const kept = url
    .slice(at + 1)
    .split("&")
    .filter((pair) => pair !== TOKEN_PARAMETER && !pair.startsWith(`${TOKEN_PARAMETER}=`));
  return kept.length === 0 ? url.slice(0, at) : `${url.slice(0, at)}?${kept.join("&")}`;
}

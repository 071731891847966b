import type { IncomingMessage } from "node:http";
import { authorityOf, domainName, hostOf, type Place } from "./address.ts";

/**
 * On every answer in the form by path: a page there has no origin of its own. All sandboxes' pages and this server's API would share one
 * otherwise, and one sandbox's script could act in all of them.
 */
export const SANDBOXED = "sandbox allow-scripts allow-forms allow-popups allow-modals allow-downloads";

const LOOPBACK: ReadonlySet<string> = new Set(["localhost", "127.0.0.1", "[::1]"]);

/**
 * Where a request in the form by path had better go: a browser to the port's own host name, everyone to an address with a slash
 * behind the port, so that relative links hold. Decided by the address alone, so it tells nothing of what is published.
 */
export function betterAddress(
  place: Place,
  incoming: IncomingMessage,
  domain: string,
): { status: 307 | 308; location: string } | undefined {
  if (place.form !== "path") return undefined;
  const { headers, method } = incoming;
  const rest = place.url.startsWith("/") ? place.url : `/${place.url}`;
  const isVisit = method === "GET" && (headers["sec-fetch-mode"] === "navigate" || headers.accept?.includes("text/html") === true);
  const host = hostOf(headers);
  const name = domainName(domain);
  const isNamed = LOOPBACK.has(host) ? name === "localhost" : host === name || host === `sandbox.${name}`;
  if (isVisit && isNamed) {
    const port = /:\d{1,5}$/.exec(authorityOf(headers))?.[0] ?? "";
    // Without a scheme: the browser keeps the one it came by.
    return { status: 307, location: `//${place.port}-${place.sandboxId}.${name}${port}${rest}` };
  }
  return place.url.startsWith("/") ? undefined : { status: 308, location: `${place.prefix}${rest}` };
}

import type { IncomingHttpHeaders } from "node:http";
import { isId } from "../../contract/index.ts";

/** Where a request for a port inside a sandbox goes. */
export interface Place {
  readonly sandboxId: string;
  readonly port: number;
  readonly form: "host" | "path";
  /** What stands before the program's own paths; empty in the form by host name. */
  readonly prefix: string;
  /** Path and query as the program gets them. */
  readonly url: string;
}

const INSIDE_HOST = /^(\d{1,5})-(sb[0-9a-z]{22})$/;
const INSIDE_PATH = /^\/p\/(sb[0-9a-z]{22})\/(\d{1,5})(?=[/?#]|$)/;

/** The host a request names, in lower case and without the port; HTTP/2 calls it `:authority`. */
export function hostOf(headers: IncomingHttpHeaders): string {
  return authorityOf(headers).replace(/:\d{1,5}$/, "");
}

/** The same with the port. */
export function authorityOf(headers: IncomingHttpHeaders): string {
  const host = headers.host ?? headers[":authority"];
  return (typeof host === "string" ? host : "").toLowerCase();
}

/** The domain's name without its port. */
export function domainName(domain: string): string {
  return domain.toLowerCase().replace(/:\d{1,5}$/, "");
}

/** What a name `<port>-<id>.<domain>` leads to. The port is not checked: what is none leads nowhere. */
export function insideHost(host: string, domain: string): { sandboxId: string; port: string } | undefined {
  const name = domainName(domain);
  if (!host.endsWith(`.${name}`)) return undefined;
  const [, port, sandboxId] = INSIDE_HOST.exec(host.slice(0, -name.length - 1)) ?? [];
  return port === undefined || sandboxId === undefined ? undefined : { sandboxId, port };
}

/** Whether a name may be used to reach a listener of this machine: its domain's own names may. */
export function isOwnName(host: string, domain: string): boolean {
  const name = domainName(domain);
  if (host === name || host === `api.${name}` || host === `sandbox.${name}`) return true;
  return isId("sandbox", insideHost(host, domain)?.sandboxId ?? "");
}

/** Where a request goes; undefined: to no port of a sandbox. The host counts before the path, which is then the program's own. */
export function placeOf(headers: IncomingHttpHeaders, url: string, domain: string): Place | undefined {
  const named = insideHost(hostOf(headers), domain);
  if (named !== undefined) return place(named.sandboxId, named.port, "host", "", url);
  const [prefix, sandboxId, port] = INSIDE_PATH.exec(url) ?? [];
  return prefix === undefined || sandboxId === undefined || port === undefined
    ? undefined
    : place(sandboxId, port, "path", prefix, url.slice(prefix.length));
}

function place(sandboxId: string, port: string, form: Place["form"], prefix: string, url: string): Place {
  return { sandboxId, port: Number(port), form, prefix, url };
}

import type { IncomingHttpHeaders } from "node:http";
import { hostOf, insideHost } from "../preview/address.ts";
import { ENVD_PORT } from "./context.ts";

/** Where a request of E2B's wire goes. */
export type Destination =
  | { readonly to: "control" }
  | { readonly to: "sandbox"; readonly sandboxId: string; readonly port: number }
  /** A signed file address names no sandbox: it is found by the signature. */
  | { readonly to: "signed-file" };

/** First words of the paths that E2B's control plane has, with or without a generation before them. */
const CONTROL =
  /^(?:\/v[23])?\/(?:sandboxes|snapshots|templates|volumes|volumecontent|secrets|teams|events|admin|nodes|access-tokens|api-keys)(?:\/|$)/;
/** What our own API has at its top. */
const OURS = /^\/(?:v1(?:\/|$)|openapi\.json$|docs(?:\/|$)|health$|metrics$)/;
/**
 * Where a request goes; undefined: it is not of E2B's wire. Headers count before the host, and both before the path, so
 * that a path inside a sandbox is never taken for one of ours.
 *
 * @param path Without the query.
 * @param domain What sandboxes' host names end in.
 */
export function destination(headers: IncomingHttpHeaders, path: string, query: string, domain: string): Destination | undefined {
  const id = headers["e2b-sandbox-id"];
  if (typeof id === "string") return { to: "sandbox", sandboxId: id, port: portOf(headers["e2b-sandbox-port"]) };
  const inside = insideHost(hostOf(headers), domain);
  if (inside !== undefined) return { to: "sandbox", sandboxId: inside.sandboxId, port: portOf(inside.port) };
  if (path === "/files" && /(?:^|&)signature=/.test(query)) return { to: "signed-file" };
  if (CONTROL.test(path) || (headers["x-api-key"] !== undefined && !OURS.test(path))) return { to: "control" };
  return undefined;
}

/** NaN for what is no port: refused where the request is answered. */
function portOf(text: string | string[] | undefined): number {
  if (text === undefined) return ENVD_PORT;
  return typeof text === "string" && /^\d{1,5}$/.test(text) && Number(text) <= 65_535 && Number(text) > 0 ? Number(text) : Number.NaN;
}

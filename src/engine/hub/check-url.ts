import { isIP } from "node:net";
import { SandboxerError, type WebhooksConfig } from "../../contract/index.ts";
import { Outbound } from "../../guard/outbound/post.ts";

function refuse(message: string, code: "invalid_request" | "policy_denied" = "invalid_request", hint?: string): SandboxerError {
  return new SandboxerError(code, `url: ${message}`, { issues: [{ path: "url", message }], ...(hint === undefined ? {} : { hint }) });
}

/**
 * Refuses a URL that will never be sent to. Names are looked up when events are sent, each time a connection is made: what a name says
 * now proves nothing of later.
 *
 * @throws SandboxerError `invalid_request` for one that is none, `policy_denied` for one that the operator does not let.
 */
export function checkUrl(config: WebhooksConfig, text: string, trusted: boolean): void {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || (url.protocol !== "https:" && url.protocol !== "http:")) throw refuse("must be an https address");
  if (url.username !== "" || url.password !== "") throw refuse("must not have a user name or password: requests are signed");
  if (url.hash !== "") throw refuse("must not have a fragment");
  if (trusted) return;
  if (url.protocol === "http:" && config.insecure !== true)
    throw refuse("must be https", "policy_denied", "Use https, or ask the operator for webhooks.insecure.");
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const fault = isIP(host) === 0 ? null : new Outbound({ allow: config.allow ?? [], anywhere: false }).fault(host);
  if (fault !== null)
    throw refuse(`${fault}, and may not be reached`, "policy_denied", "Ask the operator to list the address under webhooks.allow.");
}

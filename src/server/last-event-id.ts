import { SandboxerError } from "../contract/index.ts";
import type { Call } from "./call.ts";

/** What a client that reconnects says it has seen last; undefined where it says nothing. */
export function lastEventId(call: Call): number | undefined {
  const text = call.context.req.header("last-event-id");
  if (text === undefined || text === "") return undefined;
  if (/^\d{1,15}$/.test(text)) return Number(text);
  const message = "must be the id of an event";
  throw new SandboxerError("invalid_request", `the header Last-Event-ID ${message}`, { issues: [{ path: "Last-Event-ID", message }] });
}

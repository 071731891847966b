import type { ServerResponse } from "node:http";
import type { Http2ServerResponse } from "node:http2";

/** What Node writes an answer to: over HTTP/2 an object that only resembles the other one. */
type Outgoing = ServerResponse | Http2ServerResponse;

/** Whether the whole answer left before the connection (of HTTP/2: the stream) closed. */
export function isComplete(outgoing: Outgoing): boolean {
  return "stream" in outgoing ? outgoing.writableEnded && outgoing.stream.rstCode === 0 : outgoing.writableFinished;
}

/** Whether nobody can be answered any more. */
export function isClosed(outgoing: Outgoing): boolean {
  return "stream" in outgoing ? outgoing.stream.closed || outgoing.stream.destroyed : outgoing.closed;
}

/** Breaks an answer off, so that it does not look complete. */
export function breakOff(outgoing: Outgoing): void {
  if ("stream" in outgoing) outgoing.stream.close(INTERNAL_ERROR);
  else outgoing.destroy();
}

/** HTTP/2's code for a stream that its server could not go on with. */
const INTERNAL_ERROR = 2;

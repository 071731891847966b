import type { IncomingMessage, ServerResponse } from "node:http";
import type { Http2ServerRequest, Http2ServerResponse } from "node:http2";
import type { Refused } from "./refusal.ts";

export type ClientRequest = IncomingMessage | Http2ServerRequest;
export type ClientResponse = ServerResponse | Http2ServerResponse;

/** The denial that the agent reads: in words, or as JSON where it asks for that. Names the reason and what to ask for. */
export function refusalBody({ reason, rule, message }: Refused, accept = ""): { type: string; body: string } {
  if (/\bjson\b/i.test(accept)) {
    return { type: "application/json", body: `${JSON.stringify({ error: { code: "network_denied", reason, rule, message } })}\n` };
  }
  return { type: "text/plain; charset=utf-8", body: `sand-boxer: ${message}\n` };
}

/** Answers with a refusal where nothing was answered yet. What still comes of the body is read and dropped, so that the client gets to the answer. */
export function answerRefused(request: ClientRequest, response: ClientResponse, refused: Refused): void {
  const { type, body } = refusalBody(refused, request.headers.accept);
  response.statusCode = refused.status;
  response.setHeader("content-type", type);
  response.setHeader("content-length", Buffer.byteLength(body));
  response.setHeader("x-sand-boxer", "denied");
  // A client that was not told to go on may send its body or not: where the next request begins cannot be known.
  const closes = request.httpVersionMajor === 1 && (refused.closes || (request.headers.expect !== undefined && !request.complete));
  if (closes) response.setHeader("connection", "close");
  response.end(request.method === "HEAD" ? "" : body);
  request.resume();
}

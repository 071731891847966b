import { SandboxerError } from "../contract/index.ts";
import { plainResponse } from "../contract/plain-web.ts";
import type { HttpContext } from "./call.ts";

let sent: Response | undefined;

/** Stands for an answer that was written to Node's own response: hono then leaves it alone. */
export function alreadySent(): Response {
  return (sent ??= new Response(null, { headers: { "x-hono-already-sent": "true" } }));
}

export type HeaderRecord = Record<string, string>;

/** What a reply needs of a call; errors are answered before there is one. */
export interface Addressee {
  readonly context: HttpContext;
  readonly requestId: string;
}

/** Answers are about live things and may hold a key: no cache keeps them, no browser guesses at their type. */
export function baseHeaders(requestId: string): HeaderRecord {
  return { "x-request-id": requestId, "cache-control": "no-store", "x-content-type-options": "nosniff" };
}

/** Writes a whole answer: on a connection straight to it, in process as a `Response`. */
export function send(to: Addressee, status: number, body: string | null, headers: HeaderRecord): Response {
  const { outgoing } = to.context.env;
  const all = { ...baseHeaders(to.requestId), ...headers };
  if (outgoing === undefined) return plainResponse(body, status, all);
  if (outgoing.headersSent || outgoing.destroyed) return alreadySent();
  if (body === null) {
    outgoing.writeHead(status, all).end();
  } else {
    all["content-length"] = String(Buffer.byteLength(body));
    outgoing.writeHead(status, all).end(body);
  }
  return alreadySent();
}

export function json(to: Addressee, status: number, value: unknown, headers?: HeaderRecord): Response {
  return send(to, status, JSON.stringify(value), { "content-type": "application/json", ...headers });
}

/** 204. */
export function empty(to: Addressee): Response {
  return send(to, 204, null, {});
}

/** The one form of all errors, with what HTTP itself wants beside it. */
export function failure(to: Addressee, error: SandboxerError, headers?: HeaderRecord): Response {
  return json(to, error.status, { error: error.toWire(to.requestId) }, { ...errorHeaders(error), ...headers });
}

function errorHeaders(error: SandboxerError): HeaderRecord {
  const headers: HeaderRecord = {};
  if (error.details.retry_after !== undefined) headers["retry-after"] = String(Math.ceil(error.details.retry_after));
  if (error.code === "unauthorized") headers["www-authenticate"] = 'Bearer realm="sand-boxer"';
  if (error.code === "shutting_down") headers["connection"] = "close";
  return headers;
}

/**
 * What was thrown, as it may be shown to a client. An error that no room has classified may carry anything of this
 * host in its message, so that stays in the log.
 */
export function toPublic(thrown: unknown): SandboxerError {
  if (thrown instanceof SandboxerError) return thrown;
  const error = SandboxerError.from(thrown);
  if (error.code !== "internal") return error;
  return new SandboxerError("internal", "an unexpected error; the server's log has it under this request id", { cause: thrown });
}

import { plainResponse } from "../../../contract/plain-web.ts";
import { alreadySent, baseHeaders, type HeaderRecord } from "../../reply.ts";
import type { DataCall } from "../context.ts";

/** Writes a whole answer. */
export function respond(call: DataCall, status: number, body: unknown, more: HeaderRecord = {}): Response {
  const { outgoing, requestId } = call;
  const text = body === null ? null : JSON.stringify(body);
  const headers: HeaderRecord = {
    ...baseHeaders(requestId),
    ...(text === null ? {} : { "content-type": "application/json", "content-length": String(Buffer.byteLength(text)) }),
    ...more,
  };
  if (outgoing === undefined) return plainResponse(text, status, headers);
  if (!outgoing.headersSent && !outgoing.destroyed) outgoing.writeHead(status, headers).end(text ?? undefined);
  return alreadySent();
}

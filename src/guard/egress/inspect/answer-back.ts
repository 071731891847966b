import { constants } from "node:http2";
import type { Readable } from "node:stream";
import type { ClientRequest, ClientResponse } from "./answer.ts";
import type { Pass } from "./body-scan.ts";
import { decoder } from "./decode.ts";
import { endToEnd, type Headers, toHttp2, values, weight, without } from "./headers.ts";
import { relay } from "./relay.ts";
import type { Exposure } from "./scrub.ts";
import type { Answer } from "./upstream-request.ts";

const UNCHANGED: Pass = (chunk) => chunk;
/** Of a representation that is changed here, no longer true. */
export const OF_THE_ENCODED = ["content-encoding", "content-md5", "digest", "etag"];

/** A field list with the stand-ins where values were. */
export function scrubbed(headers: Headers, exposed: Exposure): Headers {
  return exposed.empty ? headers : headers.map((text, at) => (at % 2 === 0 ? text : exposed.text(text)));
}

/** Passes an answer back, looked through where its host knows a secret. Resolves when the last byte was handed on. */
export async function answerBack(
  answer: Answer,
  { request, response }: { readonly request: ClientRequest; readonly response: ClientResponse },
  exposed: Exposure,
  flow: (bytes: number) => Promise<void> | undefined,
): Promise<void> {
  const { statusCode: status = 502, rawHeaders } = answer;
  const empty = request.method === "HEAD" || status === 204 || status === 304;
  let fields = scrubbed(endToEnd(rawHeaders), exposed);
  let body: Readable = answer;
  if (exposed.empty || empty) {
    const length = status === 204 ? undefined : values(rawHeaders, "content-length")[0];
    if (length !== undefined) fields = [...fields, "content-length", length];
  } else {
    const encodings = values(rawHeaders, "content-encoding");
    if (encodings.length > 0) {
      body = decoder(answer, encodings);
      fields = without(fields, ...OF_THE_ENCODED);
    }
  }
  const wait = flow(weight(fields) + 20);
  if (wait !== undefined) await wait;
  const head = request.httpVersionMajor === 1 ? fields : toHttp2(fields);
  (response as { writeHead(status: number, headers: unknown): void }).writeHead(status, head);
  if (empty) {
    answer.resume();
    response.end();
    return;
  }
  await relay(body, response, exposed.empty ? UNCHANGED : exposed.stream(), flow, () => {
    const trailers = scrubbed(endToEnd(answer.rawTrailers, true), exposed);
    if (trailers.length > 0) (response as { addTrailers(trailers: unknown): void }).addTrailers(toHttp2(trailers));
  });
}

/** An answer before the answer (103, as it goes): passed back where the client's side can still take one. */
export function informBack(response: ClientResponse, status: number, headers: Headers, exposed: Exposure): void {
  if (response.headersSent || status === 100 || status === 101) return;
  const fields = scrubbed(endToEnd(headers), exposed);
  if ("stream" in response) {
    response.stream.additionalHeaders({ ...toHttp2(fields), ":status": status });
    return;
  }
  // Node writes 103 by itself only with a Link. A pipelined request, whose turn has not come, has no socket.
  if (response.req.httpVersionMinor === 0) return;
  let text = `HTTP/1.1 ${status} \r\n`;
  for (let at = 0; at < fields.length; at += 2) text += `${fields[at]!}: ${fields[at + 1]!}\r\n`;
  response.socket?.write(`${text}\r\n`, "latin1");
}

/** Ends an answer that has begun and cannot be completed, so that the client sees that it is not whole. */
export function breakOff(response: ClientResponse): void {
  if ("stream" in response) response.stream.close(constants.NGHTTP2_INTERNAL_ERROR);
  else response.destroy();
}

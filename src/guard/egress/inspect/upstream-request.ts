import { type ClientRequest, type IncomingMessage, request as httpRequest } from "node:http";
import { type Headers, values } from "./headers.ts";
import type { PutIn } from "./put-in.ts";
import type { Asked } from "./question.ts";
import { Refused } from "./refusal.ts";
import { hostField } from "./request-target.ts";
import type { Upstream } from "./upstream.ts";

/** May be sent again on another connection where a kept one turned out to be closed. */
const REPEATABLE = new Set(["GET", "HEAD", "OPTIONS"]);
/** How a connection that the server has closed looks, before and after the first write to it. */
const CLOSED = new Set(["ECONNRESET", "EPIPE"]);

/** What the body of a request is: none, all of it, or what streams, with its length where that is known. */
export type Body =
  | { readonly kind: "none" }
  | { readonly kind: "whole"; readonly bytes: Buffer }
  | { readonly kind: "stream"; readonly length: string | null };

/** The fields that go upstream: framing made anew, and no compression where a secret's value might come back. */
export function upstreamFields({ question, received }: Asked, head: PutIn, body: Body, scrubs: boolean): string[] {
  const fields = ["host", hostField(question.scheme, question)];
  const te = values(received, "te").some((value) => /\btrailers\b/i.test(value));
  for (let at = 0; at < head.headers.length; at += 2) {
    const name = head.headers[at]!;
    if (!scrubs || name.length !== 15 || name.toLowerCase() !== "accept-encoding") fields.push(name, head.headers[at + 1]!);
  }
  if (scrubs) fields.push("accept-encoding", "identity");
  if (body.kind === "whole") fields.push("content-length", String(body.bytes.length));
  else if (body.kind === "stream")
    fields.push(...(body.length === null ? ["transfer-encoding", "chunked"] : ["content-length", body.length]));
  else if (values(received, "content-length").length > 0) fields.push("content-length", "0");
  if (te) fields.push("te", "trailers", "connection", "te, keep-alive");
  else fields.push("connection", "keep-alive");
  return fields;
}

export interface Send {
  readonly upstream: Upstream;
  readonly question: Asked["question"];
  readonly path: string;
  readonly fields: Headers;
  readonly body: Body;
  /** Called with each request that is made; the last one is the one to end. A body that streams is begun on it. */
  readonly onRequest: (request: ClientRequest) => void;
  readonly onAddress: (address: string | null) => void;
  readonly onInformation: (status: number, headers: Headers) => void;
}

/**
 * Sends a request; resolves with the answer's head, which may come before the body has ended. What changes nothing and has no body is sent
 * again where a kept connection turned out to be closed.
 */
export async function ask(send: Send): Promise<IncomingMessage> {
  const repeatable = send.body.kind === "none" && REPEATABLE.has(send.question.method);
  for (;;) {
    const request = begin(send);
    const answer = answered(request);
    send.onRequest(request);
    if (send.body.kind === "whole") request.end(send.body.bytes);
    if (send.body.kind === "none") request.end();
    try {
      return await answer;
    } catch (thrown) {
      if (!repeatable || !request.reusedSocket || !CLOSED.has((thrown as NodeJS.ErrnoException).code ?? "")) throw thrown;
    }
  }
}

function begin({ upstream, question, path, fields, onAddress, onInformation }: Send): ClientRequest {
  const request = httpRequest({
    host: question.host,
    port: question.port,
    method: question.method,
    path,
    headers: fields as string[],
    setDefaultHeaders: false,
    agent: upstream.agent(question.scheme),
  });
  request.once("socket", (socket) => onAddress(socket.remoteAddress ?? null));
  request.on("information", ({ statusCode, rawHeaders }) => onInformation(statusCode, rawHeaders));
  return request;
}

function answered(request: ClientRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    request.once("response", resolve);
    request.on("error", reject);
    // Nobody asked for it, and what it would switch to cannot be looked into.
    request.once("upgrade", (_, socket) => {
      socket.destroy();
      reject(new Refused("protocol", "The upstream server switched to another protocol unasked.", { status: 502 }));
    });
  });
}

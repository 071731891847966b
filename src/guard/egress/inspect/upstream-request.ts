import { type ClientRequest, type IncomingMessage, request as httpRequest } from "node:http";
import type { Readable } from "node:stream";
import { type Headers, values } from "./headers.ts";
import { type OnItsWay, sendPlain } from "./plain-request.ts";
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
  return fields;
}

/** A request that was begun. */
export interface Sending {
  destroy(error?: Error): void;
  /** All of it has been handed over. */
  readonly writableEnded: boolean;
}

/** The head of an answer, and its body to be read. The trailers are there when that has ended. */
export interface Answer extends Readable {
  readonly statusCode?: number | undefined;
  readonly rawHeaders: string[];
  readonly rawTrailers: string[];
}

export interface Send {
  readonly upstream: Upstream;
  readonly question: Asked["question"];
  readonly path: string;
  readonly fields: Headers;
  readonly body: Body;
  /** Called with each request that is made; the last one is the one to end. */
  readonly onRequest: (request: Sending) => void;
  /** Begins a body that streams. */
  readonly onBody: (request: ClientRequest) => void;
  readonly onAddress: (address: string | null) => void;
  readonly onInformation: (status: number, headers: Headers) => void;
}

/**
 * Sends a request; resolves with the answer's head, which may come before the body has ended. What changes nothing and has no body is sent
 * again where a kept connection turned out to be closed.
 */
export async function ask(send: Send): Promise<Answer> {
  const plain = isPlain(send);
  const repeatable = send.body.kind === "none" && REPEATABLE.has(send.question.method);
  for (;;) {
    const { answer, isReused } = plain ? await beginPlain(send) : beginAny(send);
    try {
      return await answer;
    } catch (thrown) {
      if (!repeatable || !isReused() || !CLOSED.has((thrown as NodeJS.ErrnoException).code ?? "")) throw thrown;
    }
  }
}

interface Begun {
  readonly answer: Promise<Answer>;
  /** On a connection that had carried another one before. */
  readonly isReused: () => boolean;
}

/** What undici carries as `node:http` does: it takes an unasked 100 for a fault, which only bodies bring about, and writes Connection itself. */
function isPlain({ body, path, fields }: Send): boolean {
  return body.kind === "none" && path.startsWith("/") && values(fields, "connection").length === 0;
}

async function beginPlain({ upstream, question, path, fields, onRequest, onAddress, onInformation }: Send): Promise<Begun> {
  const { scheme, method } = question;
  let gone = false;
  let sent: OnItsWay | undefined;
  // It may be given up while it is still being dialled for.
  const destroy = (): void => {
    gone = true;
    sent?.destroy();
  };
  onRequest({ destroy, writableEnded: true });
  const kept = await upstream.connections.take(scheme, question);
  const reused = kept.used;
  if (gone) {
    upstream.connections.give(scheme, question, kept);
    throw new Error("the request was given up");
  }
  onAddress(kept.address);
  sent = sendPlain(kept.client, { method, path, fields, onInformation });
  void sent.ended.then(() => upstream.connections.give(scheme, question, kept));
  return { answer: sent.answer, isReused: () => reused };
}

function beginAny(send: Send): Begun {
  const request = begin(send);
  const answer = answered(request);
  send.onRequest(request);
  if (send.body.kind === "stream") send.onBody(request);
  else request.end(send.body.kind === "whole" ? send.body.bytes : undefined);
  return { answer, isReused: () => request.reusedSocket };
}

function begin({ upstream, question, path, fields, onAddress, onInformation }: Send): ClientRequest {
  const request = httpRequest({
    host: question.host,
    port: question.port,
    method: question.method,
    path,
    headers: values(fields, "connection").length > 0 ? fields : [...fields, "connection", "keep-alive"],
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

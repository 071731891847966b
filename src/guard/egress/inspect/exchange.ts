import { type ClientRequest as UpstreamRequest, type IncomingMessage, request as httpRequest } from "node:http";
import type { Readable } from "node:stream";
import type { BoundSecret } from "../../../contract/network.ts";
import { answerRefused, type ClientRequest, type ClientResponse } from "./answer.ts";
import { bodyScan, type Pass } from "./body-scan.ts";
import { decoder } from "./decode.ts";
import { endToEnd, type Headers, toHttp2, values, weight, without } from "./headers.ts";
import { type PutIn, putIn } from "./put-in.ts";
import { admitted, type Asked, type Framed, readQuestion } from "./question.ts";
import { asRefused, Refused, Violation } from "./refusal.ts";
import { hostField } from "./request-target.ts";
import { relay } from "./relay.ts";
import type { Served } from "./served.ts";
import type { Decision, EgressRefusal, InspectedVerdict } from "./types.ts";

const NOTHING: Pass = (chunk) => chunk;
/** May be sent again on another connection where a kept one turned out to be closed. */
const REPEATABLE = new Set(["GET", "HEAD", "OPTIONS"]);

/** One request, from its head to the end of its answer. What it comes to is recorded once. */
export class Exchange {
  readonly #served: Served;
  readonly #framed: Framed;
  readonly #request: ClientRequest;
  readonly #response: ClientResponse;
  readonly #began = performance.now();
  readonly #moved = { up: 0, down: 0 };
  #asked: Asked | undefined;
  #secret: string | null = null;
  #address: string | null = null;
  #upstream: UpstreamRequest | undefined;
  #recorded = false;

  constructor(served: Served, framed: Framed, request: ClientRequest, response: ClientResponse) {
    this.#served = served;
    this.#framed = framed;
    this.#request = request;
    this.#response = response;
  }

  async run(): Promise<void> {
    let decision: Decision | undefined;
    let untrack: (() => void) | undefined;
    try {
      const asked = readQuestion(this.#request, this.#framed);
      this.#asked = asked;
      const { session } = this.#served;
      decision = admitted(session, asked.question);
      const fitting = asked.question.scheme === "https" ? session.secretsFor(asked.question) : [];
      const head = putIn(
        { received: asked.received, passedOn: endToEnd(asked.received), path: asked.path },
        fitting,
        session.placeholders(),
      );
      this.#secret = head.name;
      const changed = Promise.withResolvers<never>();
      changed.promise.catch(() => {});
      untrack = session.track(asked.question, (refusal) => changed.reject(refusal));
      await Promise.race([this.#pass(asked, head), changed.promise, gone(this.#response)]);
      this.#record(decision, null);
    } catch (thrown) {
      this.#upstream?.destroy();
      // The client left: what had passed until then is what is recorded.
      if (thrown === CLIENT_GONE) this.#record(decision, null);
      else this.#refuse(asRefused(thrown));
    } finally {
      untrack?.();
    }
  }

  async #pass({ question, received }: Asked, head: PutIn): Promise<void> {
    const { session } = this.#served;
    const exposed = this.#served.exposure(question);
    exposed.add(head.sent);
    const { fields, hasBody } = this.#framing(received, head, !exposed.empty);
    await this.#flow("up", weight(fields) + head.target.length + 32);
    const send = (): UpstreamRequest =>
      httpRequest({
        host: question.host, port: question.port, method: question.method, path: head.target, headers: fields, setDefaultHeaders: false,
        agent: this.#served.upstream.agent(question.scheme),
      }); // prettier-ignore
    const scan = bodyScan({
      all: session.placeholders(),
      replaced: head.inBody,
      contentType: values(received, "content-type")[0],
      onPutIn: ({ binding }: BoundSecret, text) => {
        this.#secret ??= binding.name;
        exposed.add([{ text, standIn: binding.placeholder }]);
      },
    });
    const answer = await this.#answered(send, hasBody ? scan : undefined, REPEATABLE.has(question.method) && !hasBody);
    this.#address = answer.socket.remoteAddress ?? null;
    await this.#back(answer, exposed.empty ? undefined : exposed);
  }

  /** Sends head and body; resolves with the answer's head, which may come before the body has ended. */
  async #answered(send: () => UpstreamRequest, scan: Pass | undefined, again: boolean): Promise<IncomingMessage> {
    const request = send();
    this.#upstream = request;
    try {
      const answer = new Promise<IncomingMessage>((resolve, reject) => {
        request.once("response", resolve).once("error", reject);
        // Nobody asked for it, and what it would switch to cannot be looked into.
        request.once("upgrade", (_, socket) => {
          socket.destroy();
          reject(new Refused("protocol", "The upstream server switched to another protocol unasked.", { status: 502 }));
        });
        request.on("socket", (socket) => (this.#address ??= socket.remoteAddress ?? null));
      });
      if (scan === undefined) {
        request.end();
        return await answer;
      }
      if (this.#request.httpVersionMajor === 1 && this.#request.headers.expect !== undefined)
        (this.#response as { writeContinue(): void }).writeContinue();
      const body = relay(this.#request, request, scan, (bytes) => this.#flow("up", bytes));
      // A server that answers early and stops reading breaks the body; the answer counts then.
      body.catch((thrown: unknown) => void (request.destroyed || request.destroy(thrown as Error)));
      return await Promise.race([answer, body.then(() => answer)]);
    } catch (thrown) {
      if (!again || !request.reusedSocket || (thrown as NodeJS.ErrnoException).code !== "ECONNRESET") throw thrown;
      return this.#answered(send, scan, false);
    }
  }

  async #back(answer: IncomingMessage, exposed: ReturnType<Served["exposure"]> | undefined): Promise<void> {
    const { statusCode: status = 502, rawHeaders } = answer;
    const http1 = this.#request.httpVersionMajor === 1;
    let fields: Headers = endToEnd(rawHeaders);
    const length = values(rawHeaders, "content-length")[0];
    const empty = this.#request.method === "HEAD" || status === 204 || status === 304;
    let body: Readable = answer;
    if (exposed !== undefined) {
      fields = fields.map((text, at) => (at % 2 === 0 ? text : exposed.text(text)));
      const encodings = values(rawHeaders, "content-encoding");
      if (encodings.length > 0 && !empty) {
        body = decoder(answer, encodings);
        fields = without(fields, "content-encoding", "content-md5", "digest", "etag");
      }
    } else if (length !== undefined) fields = [...fields, "content-length", length];
    await this.#flow("down", weight(fields) + 20);
    const response = this.#response as { writeHead(status: number, headers: unknown): void };
    response.writeHead(status, http1 ? fields.flat() : toHttp2(fields));
    if (empty) {
      answer.resume();
      this.#response.end();
      return;
    }
    await relay(
      body,
      this.#response,
      exposed?.stream() ?? NOTHING,
      (bytes) => this.#flow("down", bytes),
      () => this.#trailers(answer, exposed),
    );
  }

  #trailers({ rawTrailers }: IncomingMessage, exposed: ReturnType<Served["exposure"]> | undefined): void {
    const trailers = endToEnd(rawTrailers, true).map((text, at) => (at % 2 === 0 || exposed === undefined ? text : exposed.text(text)));
    if (trailers.length > 0) (this.#response as { addTrailers(trailers: unknown): void }).addTrailers(toHttp2(trailers));
  }

  /** The head that goes upstream: framing made anew, and no compression where values might come back. */
  #framing(received: Headers, head: PutIn, scrubs: boolean): { fields: string[]; hasBody: boolean } {
    const { scheme, host, port } = this.#asked!.question;
    const lengths = values(received, "content-length");
    const hasBody = lengths.length > 0 ? lengths[0] !== "0" : this.#request.httpVersionMajor === 2 ? !(this.#request as { stream?: { endAfterHeaders?: boolean } }).stream?.endAfterHeaders : values(received, "transfer-encoding").length > 0; // prettier-ignore
    const fields = scrubs ? [...without(head.headers, "accept-encoding"), "accept-encoding", "identity"] : [...head.headers];
    fields.unshift("host", hostField(scheme, { host, port }));
    const replaced = head.inBody.length > 0;
    if (hasBody && lengths.length > 0 && !replaced) fields.push("content-length", lengths[0]!);
    else if (hasBody) fields.push("transfer-encoding", "chunked");
    else if (lengths.length > 0) fields.push("content-length", "0");
    const te = values(received, "te").some((value) => /\btrailers\b/i.test(value));
    if (te) fields.push("te", "trailers");
    fields.push("connection", te ? "te, keep-alive" : "keep-alive");
    return { fields, hasBody };
  }

  #flow(direction: "up" | "down", bytes: number): Promise<void> | undefined {
    this.#moved[direction] += bytes;
    return this.#served.session.flow(direction, bytes);
  }

  #refuse(refused: Refused): void {
    answerRefused(this.#request, this.#response, refused);
    this.#record(undefined, refused);
    if (refused instanceof Violation) this.#served.session.onViolation(refused.binding);
  }

  #record(decision: Decision | undefined, refused: (Refused & EgressRefusal) | null): void {
    if (this.#recorded) return;
    this.#recorded = true;
    const { question } = this.#asked ?? {};
    const { scheme, target } = this.#framed;
    const secret = refused instanceof Violation ? (refused.binding?.name ?? null) : this.#secret;
    const verdict: InspectedVerdict = {
      protocol: scheme,
      via: this.#framed.via,
      host: question?.host ?? target?.host ?? "",
      port: question?.port ?? target?.port ?? 0,
      address: this.#address,
      method: question?.method ?? null,
      path: question?.path ?? null,
      verdict: refused === null ? (decision?.verdict ?? "allow") : "deny",
      rule: refused?.rule ?? decision?.rule ?? null,
      reason: refused?.reason ?? null,
      detail: refused?.message ?? decision?.detail ?? null,
      secret,
      bytes_up: this.#moved.up,
      bytes_down: this.#moved.down,
      ms: Math.round((performance.now() - this.#began) * 10) / 10,
    };
    this.#served.session.record(verdict);
  }
}

const CLIENT_GONE = new Error("the client has gone");

/** Rejects when the client breaks off before the answer has ended. */
function gone(response: ClientResponse): Promise<never> {
  return new Promise((_, reject) => {
    response.once("close", () => {
      if (!response.writableFinished) reject(CLIENT_GONE);
    });
  });
}

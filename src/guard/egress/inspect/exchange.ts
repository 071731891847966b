import type { ClientRequest as UpstreamRequest } from "node:http";
import { answerBack, breakOff, informBack } from "./answer-back.ts";
import { answerRefused, type ClientRequest, type ClientResponse } from "./answer.ts";
import { bodyScan, type Pass } from "./body-scan.ts";
import { endToEnd, values, weight } from "./headers.ts";
import { Outcome } from "./outcome.ts";
import { type PutIn, putIn } from "./put-in.ts";
import { admitted, type Asked, type Framed, readQuestion } from "./question.ts";
import { asRefused, CLIENT_GONE } from "./refusal.ts";
import { collect, relay } from "./relay.ts";
import type { Served } from "./served.ts";
import { EgressRefusal } from "./types.ts";
import { ask, type Body, type Sending, upstreamFields } from "./upstream-request.ts";

/** A body that says to be no longer is looked through before anything is sent: a placeholder in it then never leaves at all. */
const HELD_BYTES = 65_536;

/** One request, from its head to the end of its answer. What it comes to is recorded once. */
export class Exchange {
  readonly #served: Served;
  readonly #framed: Framed;
  readonly #request: ClientRequest;
  readonly #response: ClientResponse;
  readonly #outcome: Outcome;
  /** Settles the whole from wherever it is: the policy has changed, the body may not go on, the client has gone. */
  readonly #broken = Promise.withResolvers<never>();
  #upstream: Sending | undefined;
  #endsStream = false;

  constructor(served: Served, framed: Framed, request: ClientRequest, response: ClientResponse) {
    this.#served = served;
    this.#framed = framed;
    this.#request = request;
    this.#response = response;
    this.#outcome = new Outcome(served.session, framed);
    // Nobody may be waiting when it is rejected.
    this.#broken.promise.catch(() => undefined);
  }

  /** Whether it was refused, before `run` first waited, in a way that leaves nothing behind it on its connection. */
  get endsStream(): boolean {
    return this.#endsStream;
  }

  async run(): Promise<void> {
    const outcome = this.#outcome;
    const { scheme } = this.#framed;
    let untrack: (() => void) | undefined;
    const response = this.#response;
    response.once("close", () => {
      if (!response.writableEnded) this.#broken.reject(CLIENT_GONE);
    });
    try {
      const asked = readQuestion(this.#request, this.#framed);
      outcome.asked = asked;
      const { session } = this.#served;
      outcome.decision = admitted(session, asked.question);
      const fitting = asked.question.scheme === "https" ? session.secretsFor(asked.question) : [];
      const { received, path } = asked;
      const head = putIn({ received, passedOn: endToEnd(received), path }, fitting, session.placeholders());
      outcome.secret = head.name;
      untrack = session.track(asked.question, (refusal) => this.#broken.reject(refusal));
      await Promise.race([this.#pass(asked, head), this.#broken.promise]);
      this.#dropRest();
      outcome.record(scheme, null);
    } catch (thrown) {
      this.#upstream?.destroy();
      // The client left: what had passed until then is what is recorded.
      if (thrown === CLIENT_GONE) return outcome.record(scheme, null);
      const refused = asRefused(thrown);
      this.#endsStream = refused.closes;
      if (response.headersSent) breakOff(response);
      else answerRefused(this.#request, response, refused);
      outcome.record(scheme, refused);
    } finally {
      untrack?.();
    }
  }

  async #pass(asked: Asked, head: PutIn): Promise<void> {
    const outcome = this.#outcome;
    const exposed = this.#served.exposure(asked.question);
    exposed.add(head.sent);
    // The answer may begin before the body has been sent.
    exposed.add(head.inBody.map(({ value, binding }) => ({ text: value, standIn: binding.placeholder })));
    const scan = this.#scan(asked, head);
    const body = await this.#body(asked, head, scan);
    const fields = upstreamFields(asked, head, body, !exposed.empty);
    const wait = outcome.flow("up", weight(fields) + head.target.length + 32 + (body.kind === "whole" ? body.bytes.length : 0));
    if (wait !== undefined) await wait;
    const answer = await ask({
      upstream: this.#served.upstream,
      question: asked.question,
      path: head.target,
      fields,
      body,
      onRequest: (request) => (this.#upstream = request),
      onBody: (request) => this.#stream(request, scan),
      onAddress: (address) => (outcome.address = address),
      onInformation: (status, headers) => informBack(this.#response, status, headers, exposed),
    });
    await answerBack(answer, { request: this.#request, response: this.#response }, exposed, (bytes) => outcome.flow("down", bytes));
  }

  #scan({ question, received }: Asked, { inBody, name }: PutIn): Pass {
    const { session } = this.#served;
    return bodyScan({
      all: session.placeholders(),
      replaced: inBody,
      contentType: values(received, "content-type")[0],
      onPutIn: ({ binding }, text) => {
        this.#outcome.secret ??= name ?? binding.name;
        this.#served.exposure(question).add([{ text, standIn: binding.placeholder }]);
      },
    });
  }

  async #body({ received }: Asked, head: PutIn, scan: Pass): Promise<Body> {
    const http1 = this.#request.httpVersionMajor === 1;
    const length = values(received, "content-length")[0] ?? null;
    if (length === "0" || (length === null && !this.#streams(received))) return { kind: "none" };
    if (http1 && this.#request.headers.expect !== undefined) (this.#response as { writeContinue(): void }).writeContinue();
    if (length !== null && Number(length) <= HELD_BYTES) {
      // A client that breaks off within its body has gone, and is seen to by that.
      const bytes = await collect(this.#request).catch(() => this.#broken.promise);
      return { kind: "whole", bytes: scan(bytes, true) };
    }
    return { kind: "stream", length: head.inBody.length > 0 ? null : length };
  }

  /** Whether a body follows whose length is not known. */
  #streams(received: Asked["received"]): boolean {
    if (this.#request.httpVersionMajor === 1) return values(received, "transfer-encoding").length > 0;
    return (this.#request as { stream?: { endAfterHeaders?: boolean } }).stream?.endAfterHeaders !== true;
  }

  #stream(upstream: UpstreamRequest, scan: Pass): void {
    relay(this.#request, upstream, scan, (bytes) => this.#outcome.flow("up", bytes)).catch((thrown: unknown) => {
      if (thrown instanceof EgressRefusal) this.#broken.reject(thrown);
      else if (!this.#request.complete && this.#request.destroyed) this.#broken.reject(CLIENT_GONE);
      // A server that answers early and stops reading breaks the body off; its answer counts.
      else if (!upstream.destroyed) upstream.destroy(thrown as Error);
    });
  }

  /** A server may answer before it has read everything; the rest goes nowhere then. */
  #dropRest(): void {
    if (this.#upstream?.writableEnded !== false) return;
    this.#upstream.destroy();
    this.#request.resume();
  }
}

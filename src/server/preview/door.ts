import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { newId, SandboxerError } from "../../contract/index.ts";
import type { Publication } from "../../engine/publication.ts";
import { isComplete } from "../answered.ts";
import { checkHost } from "../auth.ts";
import type { Door, Service } from "../call.ts";
import { callerLife } from "../caller-life.ts";
import { toPublic } from "../reply.ts";
import { authorityOf, hostOf, isOwnName, type Place, placeOf } from "./address.ts";
import { PreviewGate, nothingHere, type Admitted, type Asked } from "./gate.ts";
import { requestHeaders, responseHeaders, withoutToken, type Forwarded } from "./headers.ts";
import { betterAddress, SANDBOXED } from "./path-form.ts";
import { PortPool } from "./pool.ts";
import { answerProblem, refuseUpgrade } from "./problem.ts";
import { framing, relay } from "./relay.ts";
import { relayUpgrade } from "./relay-upgrade.ts";
import { previewTokens } from "./tokens.ts";
import type { DomainOptions } from "./origins.ts";

/** What previews are served with. */
export interface PreviewOptions extends DomainOptions {
  /** What tokens are signed with; asked for when the first one is needed. */
  readonly secret: () => Uint8Array;
}

/** Another door that may know the port: asked where nothing is published of it. */
export interface Fallback {
  /** A port that is always its own. */
  readonly agentPort: number;
  /** Whether it takes the request: then this one has not touched it. */
  claims(place: Place, incoming: IncomingMessage): Promise<boolean>;
}

/** Takes requests for ports inside sandboxes before any other door. */
export class PreviewDoor {
  readonly #service: Service;
  readonly #domain: string;
  readonly #https: boolean;
  readonly #gate: PreviewGate;
  readonly #fallback: Fallback | undefined;
  readonly #pool = new PortPool();

  constructor(service: Service, { secret, domain = "localhost", https = false }: PreviewOptions, fallback: Fallback | undefined) {
    this.#service = service;
    this.#domain = domain;
    this.#https = https;
    this.#gate = new PreviewGate(service.engine, previewTokens(secret));
    this.#fallback = fallback;
  }

  /** Where a request goes; undefined: not to a port. */
  placeOf({ headers, url = "/" }: IncomingMessage): Place | undefined {
    // Whoever names the sandbox in E2B's headers speaks to that door.
    if (this.#fallback !== undefined && headers["e2b-sandbox-id"] !== undefined) return undefined;
    const origin = /^https?:\/\/[^/?#]*/i.exec(url)?.[0] ?? "";
    const place = placeOf(headers, url.slice(origin.length), this.#domain);
    return place?.form === "host" && place.port === this.#fallback?.agentPort ? undefined : place;
  }

  /** Answers a request, or calls `otherwise` where it is another door's. */
  async answer(place: Place, incoming: IncomingMessage, outgoing: ServerResponse, door: Door, otherwise: () => void): Promise<void> {
    const requestId = newId("request");
    const began = performance.now();
    try {
      const publication = await this.#publication(place, incoming, door, otherwise);
      if (publication === "other") return;
      this.#count(place, incoming, outgoing, requestId, began);
      const better = betterAddress(place, incoming, this.#domain);
      if (better !== undefined)
        return void outgoing.writeHead(better.status, { location: better.location, "cache-control": "no-store" }).end();
      if (publication === undefined) throw nothingHere();
      const asked = this.#asked(incoming, door, false);
      const admitted = await this.#gate.admit(publication, place, asked);
      await this.#service.engine.ports.mayVisit(admitted.visitor, place.sandboxId, place.port);
      if (admitted.cookie !== undefined && isForPeople(incoming)) return toCleanAddress(place, outgoing, admitted.cookie);
      await this.#pass(place, publication, admitted, asked, incoming, outgoing);
    } catch (thrown) {
      answerProblem(incoming, outgoing, requestId, this.#public(thrown, requestId));
    }
  }

  /** The same for an upgrade. */
  async upgrade(place: Place, incoming: IncomingMessage, socket: Duplex, head: Buffer, door: Door, otherwise: () => void): Promise<void> {
    const requestId = newId("request");
    const { counter, log } = this.#service;
    const life = callerLife(this.#service, socket);
    try {
      const publication = await this.#publication(place, incoming, door, otherwise);
      if (publication === "other") return;
      life.hold();
      if (publication === undefined) throw nothingHere();
      const asked = this.#asked(incoming, door, true);
      const { visitor } = await this.#gate.admit(publication, place, asked);
      const { headers, insideHost } = this.#headersFor(place, asked, incoming);
      const status = await relayUpgrade({
        incoming,
        socket,
        head,
        path: withoutToken(place.url),
        headers,
        open: () => this.#service.engine.ports.connect(visitor, place.sandboxId, place.port, life.signal),
        answerHeaders: (answer) => responseHeaders(answer, place.prefix, insideHost),
      });
      counter.count(incoming.method ?? "GET", "preview upgrade", status);
      log.info(
        { request_id: requestId, sandbox_id: place.sandboxId, port: place.port, tenant: publication.tenant, status },
        "preview upgrade",
      );
    } catch (thrown) {
      const error = this.#public(thrown, requestId);
      counter.count(incoming.method ?? "GET", "preview upgrade", error.status);
      refuseUpgrade(incoming, socket, requestId, error);
    }
  }

  async #publication(
    place: Place,
    incoming: IncomingMessage,
    door: Door,
    otherwise: () => void,
  ): Promise<Publication | "other" | undefined> {
    const { engine, open } = this.#service;
    const host = hostOf(incoming.headers);
    if (!isOwnName(host, this.#domain)) checkHost(door, host);
    if (open.closing) throw new SandboxerError("shutting_down", "the server is closing");
    const publication = await engine.ports.published(place.sandboxId, place.port);
    if (publication === undefined && place.form === "host" && (await this.#fallback?.claims(place, incoming)) === true) {
      otherwise();
      return "other";
    }
    return publication;
  }

  async #pass(
    place: Place,
    publication: Publication,
    { visitor, cookie }: Admitted,
    asked: Asked,
    incoming: IncomingMessage,
    outgoing: ServerResponse,
  ): Promise<void> {
    const { engine, open, log } = this.#service;
    const { sandboxId, port, prefix } = place;
    const { headers, insideHost } = this.#headersFor(place, asked, incoming);
    // Streams without an end of their own are let go at once when the server closes, all else after the grace time.
    const cancel = new AbortController();
    cancel.signal.addEventListener("abort", () => outgoing.destroy(), { once: true });
    open.register(cancel, "work");
    outgoing.once("close", () => open.forget(cancel));
    await relay(this.#pool, {
      incoming,
      outgoing,
      path: withoutToken(place.url),
      headers: { ...headers, ...framing(incoming) },
      key: [sandboxId, port, publication.generation, publication.serial, visitor.keyId].join(" "),
      open: () => engine.ports.connect(visitor, sandboxId, port),
      answerHeaders: (answer) => {
        const passed = responseHeaders(answer, prefix, insideHost);
        if (cookie !== undefined) passed["set-cookie"] = [...(passed["set-cookie"] ?? []), cookie];
        if (prefix !== "") passed["content-security-policy"] = [...(passed["content-security-policy"] ?? []), SANDBOXED];
        return passed;
      },
      onEventStream: () => open.register(cancel, "follower"),
      log,
    });
  }

  #headersFor(place: Place, asked: Asked, incoming: IncomingMessage): { headers: Record<string, string | string[]>; insideHost: string } {
    const authority = authorityOf(incoming.headers);
    // By path, the program's own address is not what it is reached by anyway; by name, it is.
    const insideHost = place.form === "host" ? authority : `localhost:${place.port}`;
    const forwarded: Forwarded = {
      for: incoming.socket.remoteAddress ?? "unknown",
      host: authority,
      proto: asked.secure ? "https" : "http",
      prefix: place.prefix,
    };
    return { headers: requestHeaders(incoming.headers, insideHost, forwarded), insideHost };
  }

  #asked(incoming: IncomingMessage, { principal }: Door, isUpgrade: boolean): Asked {
    const secure = this.#https || "encrypted" in incoming.socket;
    return { method: incoming.method ?? "GET", headers: incoming.headers, secure, isUpgrade, principal };
  }

  #count(
    { sandboxId, port }: Place,
    { method = "GET" }: IncomingMessage,
    outgoing: ServerResponse,
    requestId: string,
    began: number,
  ): void {
    const { open, counter, log } = this.#service;
    open.enter();
    outgoing.once("close", () => {
      open.leave();
      const status = outgoing.headersSent ? outgoing.statusCode : 499;
      counter.count(method, "preview", status);
      const duration = Math.round((performance.now() - began) * 1000) / 1000;
      log.info(
        { request_id: requestId, method, sandbox_id: sandboxId, port, status, complete: isComplete(outgoing), duration_ms: duration },
        "preview",
      );
    });
  }

  #public(thrown: unknown, requestId: string): SandboxerError {
    const error = toPublic(thrown);
    if (error.code === "internal") this.#service.log.error({ request_id: requestId, err: thrown }, "a preview failed");
    // What ended between the look and the use is as what was never there.
    return error.code === "sandbox_not_found" ||
      error.code === "wrong_state" ||
      (error.code === "not_found" && error.details.phase === "ports")
      ? nothingHere()
      : error;
  }
}

function isForPeople({ method, headers }: IncomingMessage): boolean {
  return method === "GET" && headers.accept?.includes("text/html") === true;
}

/** A token does not stay in the address: not in the history, not in what the page's links tell others. */
function toCleanAddress({ url }: Place, outgoing: ServerResponse, cookie: string): void {
  const location = withoutToken(url).replace(/^\/{2,}/, "/");
  outgoing
    .writeHead(303, {
      location: location === "" ? "/" : location,
      "set-cookie": cookie,
      "cache-control": "no-store",
      "referrer-policy": "no-referrer",
    })
    .end();
}

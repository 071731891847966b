import { request as httpRequest, type ClientRequest, type IncomingMessage, type RequestOptions, type ServerResponse } from "node:http";
import { pipeline } from "node:stream/promises";
import { type Logger, SandboxerError } from "../../contract/index.ts";
import { breakOff, isClosed, isComplete } from "../answered.ts";
import { everyByte, eventMeter } from "./pings.ts";
import type { Open, PortPool } from "./pool.ts";

/** One request on its way to a program inside, and its answer on the way back. */
export interface Exchange {
  readonly incoming: IncomingMessage;
  readonly outgoing: ServerResponse;
  /** Path and query as the program gets them. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string | string[]>>;
  /** Which connections may carry it: those of one sandbox, port and publication. */
  readonly key: string;
  readonly open: Open;
  answerHeaders(answer: IncomingMessage): Record<string, string | string[]>;
  /** Called where the answer is an event stream, which has no end of its own. */
  onEventStream?(): void;
  readonly log: Logger;
}

interface Head {
  readonly answer: IncomingMessage;
  readonly active: () => void;
}

/** May be sent again where a kept connection turns out to be closed. */
const SAFE: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS"]);
/** How often a request that a program thinks about counts as use. */
const THINKING_MS = 1000;

/**
 * Passes a request on and its answer back, both as they come and at the pace of who reads them. Resolves when the answer's head has
 * left; its body follows by itself. Whoever breaks off, the other side is broken off too.
 *
 * @throws SandboxerError while nothing was answered: `port_closed`, `backend_rejected` for what is no HTTP, and what connecting throws.
 */
export async function relay(pool: PortPool, exchange: Exchange): Promise<void> {
  const { incoming, outgoing, log } = exchange;
  // The doors and Node's own pipeline each listen for its end; together they are more than Node expects of one.
  outgoing.setMaxListeners(30);
  const { answer, active } = await head(pool, exchange);
  if (isClosed(outgoing)) return void answer.destroy();
  const isEvents = answer.headers["content-type"]?.startsWith("text/event-stream") === true;
  if (isEvents) exchange.onEventStream?.();
  outgoing.writeHead(answer.statusCode ?? 502, exchange.answerHeaders(answer));
  outgoing.flushHeaders();
  const meter = isEvents ? eventMeter : everyByte;
  answer.on("data", (piece: Uint8Array) => void (meter.feed(piece) && active()));
  pipeline(answer, outgoing).catch((thrown: unknown) => {
    log.debug({ err: thrown, path: incoming.url?.split("?")[0] }, "the answer of a port broke off");
    breakOff(outgoing);
  });
}

/** The answer's head, over a kept connection where that does no harm. */
async function head(pool: PortPool, exchange: Exchange): Promise<Head> {
  const { incoming, headers, path, key, open } = exchange;
  const method = incoming.method ?? "GET";
  const how = { method, path, headers, setHost: false };
  try {
    if (!SAFE.has(method) || hasBody(incoming)) {
      const { stream, active } = await open();
      return await ask(httpRequest({ ...how, createConnection: () => stream }), exchange, () => active);
    }
    // The agent is given all of the options, also those that are its own.
    const options: RequestOptions & { open: Open } = { ...how, agent: pool, host: key, open };
    const kept = httpRequest(options);
    try {
      return await ask(kept, exchange, () => pool.activeOf(kept));
    } catch (thrown) {
      if (!kept.reusedSocket || isClosed(exchange.outgoing)) throw thrown;
      const { stream, active } = await open();
      return await ask(httpRequest({ ...how, createConnection: () => stream }), exchange, () => active);
    }
  } catch (thrown) {
    if (thrown instanceof SandboxerError) throw thrown;
    throw new SandboxerError("backend_rejected", "the program at that port did not answer in HTTP", { phase: "ports", cause: thrown });
  }
}

function ask(request: ClientRequest, { incoming, outgoing }: Exchange, activeOf: () => () => void): Promise<Head> {
  const { promise, resolve, reject } = Promise.withResolvers<Head>();
  // A program that computes for minutes before it answers is in use.
  const thinking = setInterval(() => activeOf()(), THINKING_MS).unref();
  const onGone = (): void => {
    if (!isComplete(outgoing)) request.destroy();
  };
  const stop = (): void => {
    clearInterval(thinking);
    incoming.unpipe(request);
    outgoing.off("close", onGone);
  };
  request.on("error", (error) => {
    stop();
    reject(error);
  });
  request.on("response", (answer) => {
    clearInterval(thinking);
    resolve({ answer, active: activeOf() });
  });
  request.once("close", stop);
  outgoing.once("close", onGone);
  if (isClosed(outgoing)) request.destroy();
  if (!hasBody(incoming)) request.end();
  else {
    incoming.on("data", () => activeOf()());
    // Not a pipeline: that would destroy the client's connection, and with it an answer that came early.
    incoming.pipe(request);
  }
  return promise;
}

/** Whether a body follows the head. */
export function hasBody(incoming: IncomingMessage): boolean {
  const { headers } = incoming;
  if (headers["transfer-encoding"] !== undefined) return true;
  if (headers["content-length"] !== undefined) return Number(headers["content-length"]) > 0;
  return "stream" in incoming && !(incoming.stream as { endAfterHeaders: boolean }).endAfterHeaders;
}

/** A body of unknown length is told as such: without a frame it would be read as the next request. */
export function framing(incoming: IncomingMessage): Record<string, string> {
  return hasBody(incoming) && incoming.headers["content-length"] === undefined ? { "transfer-encoding": "chunked" } : {};
}

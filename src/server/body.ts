import type { IncomingMessage } from "node:http";
import { SandboxerError } from "../contract/index.ts";
import type { HttpContext } from "./call.ts";

interface BodyLimits {
  readonly maxBytes: number;
  /** For the next piece to arrive; undefined: as long as it takes. Time the reader takes itself does not count. */
  readonly idleMs: number | undefined;
}

/** A request as it came: Node's own object where a listener took it. */
interface Received {
  readonly incoming?: IncomingMessage | undefined;
  readonly request: Request;
}

/**
 * The request's body piece by piece, read only as fast as it is taken. Throws `body_too_large` beyond the limit,
 * `request_timeout` when it stalls and `canceled` when the client breaks off, so a torn upload never looks complete. A
 * length that is declared is refused at once.
 */
export function bodyStream(context: HttpContext, limits: BodyLimits): AsyncIterable<Uint8Array> {
  return bodyOf({ incoming: context.env.incoming, request: context.req.raw }, limits);
}

/** The same for who has no context of a route. */
export function bodyOf(from: Received, limits: BodyLimits): AsyncIterable<Uint8Array> {
  refuseDeclaredLength(from, limits.maxBytes);
  return limited(from, limits);
}

async function* limited({ incoming, request }: Received, limits: BodyLimits): AsyncGenerator<Uint8Array, void, void> {
  const pieces = incoming === undefined ? webPieces(request) : nodePieces(incoming, limits.idleMs);
  let total = 0;
  for await (const piece of pieces) {
    total += piece.byteLength;
    if (total > limits.maxBytes) throw tooLarge(limits.maxBytes);
    yield piece;
  }
}

/** The whole body, held in memory, so with a small limit and a deadline for all of it. */
export async function wholeBody(context: HttpContext, limits: { maxBytes: number; timeoutMs: number }): Promise<Buffer> {
  const deadline = performance.now() + limits.timeoutMs;
  const pieces: Uint8Array[] = [];
  for await (const piece of bodyStream(context, { maxBytes: limits.maxBytes, idleMs: limits.timeoutMs })) {
    // A slow sender that never stalls must not stretch the deadline.
    if (performance.now() > deadline) throw stalled(limits.timeoutMs);
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}

function refuseDeclaredLength({ incoming, request }: Received, maxBytes: number): void {
  const length = incoming === undefined ? request.headers.get("content-length") : incoming.headers["content-length"];
  const declared = Number(length ?? 0);
  if (declared > maxBytes) throw tooLarge(maxBytes);
}

/** Whether a body follows the headers. */
export function hasBody(context: HttpContext): boolean {
  const { incoming } = context.env;
  if (incoming === undefined) return context.req.raw.body !== null;
  return Number(incoming.headers["content-length"] ?? 0) > 0 || incoming.headers["transfer-encoding"] !== undefined;
}

async function* nodePieces(incoming: IncomingMessage, idleMs: number | undefined): AsyncGenerator<Uint8Array, void, void> {
  // Not the stream's own iterator: that destroys the connection when its reader stops early, and with it the answer.
  while (true) {
    const piece: unknown = incoming.read();
    if (piece instanceof Uint8Array) {
      yield piece;
    } else if (incoming.readableEnded) {
      return;
    } else if (incoming.destroyed) {
      if (incoming.complete) return;
      throw new SandboxerError("canceled", "the client broke the body off");
    } else {
      await readable(incoming, idleMs);
    }
  }
}

async function readable(incoming: IncomingMessage, idleMs: number | undefined): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const settle = (error?: SandboxerError): void => {
      clearTimeout(timer);
      for (const event of ["readable", "end", "close", "error"]) incoming.off(event, onEvent);
      if (error === undefined) resolve();
      else reject(error);
    };
    // An error needs no look at what it was: the stream is destroyed by then, and the next turn reports it.
    const onEvent = (): void => settle();
    const timer = idleMs === undefined ? undefined : setTimeout(() => settle(stalled(idleMs)), idleMs);
    for (const event of ["readable", "end", "close", "error"]) incoming.on(event, onEvent);
  });
}

async function* webPieces(request: Request): AsyncGenerator<Uint8Array, void, void> {
  if (request.body === null) return;
  const reader = request.body.getReader();
  let ended = false;
  try {
    while (true) {
      const { done, value } = await reader.read();
      if (done) {
        ended = true;
        return;
      }
      yield value;
    }
  } finally {
    if (!ended) await reader.cancel();
  }
}

function tooLarge(maxBytes: number): SandboxerError {
  return new SandboxerError("body_too_large", `the body is larger than ${maxBytes} bytes`);
}

function stalled(ms: number): SandboxerError {
  return new SandboxerError("request_timeout", `the body did not arrive within ${ms / 1000} s`);
}

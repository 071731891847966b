import { request as httpRequest, type IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { SandboxerError } from "../../contract/index.ts";
import { FrameMeter, everyByte, type Meter } from "./pings.ts";
import type { Open } from "./pool.ts";

/** An upgrade on its way to a program inside. */
export interface UpgradeExchange {
  readonly incoming: IncomingMessage;
  readonly socket: Duplex;
  readonly head: Buffer;
  readonly path: string;
  readonly headers: Readonly<Record<string, string | string[]>>;
  readonly open: Open;
  answerHeaders(answer: IncomingMessage): Record<string, string | string[]>;
}

/**
 * Joins an upgraded connection (a WebSocket, most often) with a port inside. Resolves with the status once they are joined, or once the
 * program has refused, in its own words.
 *
 * @throws SandboxerError where the port cannot be reached or does not speak HTTP; nothing was written to the socket then.
 */
export async function relayUpgrade(exchange: UpgradeExchange): Promise<number> {
  const { incoming, socket, head, path, headers, open } = exchange;
  const { stream, active } = await open();
  if (socket.destroyed) stream.destroy();
  const protocol = incoming.headers.upgrade ?? "websocket";
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const request = httpRequest({
    createConnection: () => stream,
    method: incoming.method ?? "GET",
    path,
    headers: { ...headers, connection: "Upgrade", upgrade: protocol },
    setHost: false,
  });
  const onGone = (): void => void request.destroy();
  socket.once("close", onGone);
  request.on("error", (cause) =>
    reject(new SandboxerError("backend_rejected", "the program at that port did not answer in HTTP", { phase: "ports", cause })),
  );
  request.on("response", (answer) => {
    socket.write(headLines(answer, { ...exchange.answerHeaders(answer), connection: "close" }));
    answer.pipe(socket);
    resolve(answer.statusCode ?? 502);
  });
  request.on("upgrade", (answer, joined: Duplex, tail) => {
    socket.off("close", onGone);
    socket.write(
      headLines(answer, { ...exchange.answerHeaders(answer), connection: "Upgrade", upgrade: answer.headers.upgrade ?? protocol }),
    );
    const isSocket = protocol.toLowerCase() === "websocket";
    const meters: [Meter, Meter] = isSocket ? [new FrameMeter(), new FrameMeter()] : [everyByte, everyByte];
    // What came behind the heads goes first, and is measured with the rest.
    if (tail.length > 0) joined.unshift(tail);
    if (head.length > 0) socket.unshift(head);
    join(socket, joined, active, meters);
    resolve(101);
  });
  request.end();
  return promise;
}

/** Joins two streams until one of them ends; then both are over. */
export function join(near: Duplex, far: Duplex, active: () => void, [up, down]: readonly [Meter, Meter] = [everyByte, everyByte]): void {
  for (const [side, other] of [
    [near, far],
    [far, near],
  ] as const) {
    side.on("error", () => void other.destroy());
    side.once("close", () => flushAndClose(other));
  }
  near.on("data", (piece: Uint8Array) => void (up.feed(piece) && active()));
  far.on("data", (piece: Uint8Array) => void (down.feed(piece) && active()));
  near.pipe(far);
  far.pipe(near);
}

/** For what was written to a side to leave, once the other is gone. */
const FLUSH_MS = 30_000;

/** What came before the end still arrives; a reader that does not take it is not waited for. */
function flushAndClose(side: Duplex): void {
  if (side.destroyed) return;
  const late = setTimeout(() => side.destroy(), FLUSH_MS).unref();
  side.once("close", () => clearTimeout(late));
  side.end(() => side.destroy());
}

function headLines({ statusCode = 502, statusMessage = "" }: IncomingMessage, headers: Record<string, string | string[]>): string {
  const lines = Object.entries(headers).flatMap(([name, value]) => [value].flat().map((one) => `${name}: ${one}\r\n`));
  return `HTTP/1.1 ${statusCode} ${statusMessage}\r\n${lines.join("")}\r\n`;
}

import { STATUS_CODES, type IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { WebSocketServer } from "ws";
import { parse, isId, newId, SandboxerError, type OutputChunk, type Principal } from "../contract/index.ts";
import { authenticate, authenticateKey, checkHost, requireScope } from "./auth.ts";
import type { Door, Service } from "./call.ts";
import { parseQuery } from "./query.ts";
import { baseHeaders, toPublic } from "./reply.ts";
import { SocketQuery } from "./routes/socket.ts";
import { attach } from "./socket.ts";

const PATH = /^\/v1\/sandboxes\/([^/?#]+)\/processes\/([^/?#]+)\/ws(?:\?([^#]*))?$/;
const PROTOCOL = "sandboxer";
const KEY_PROTOCOL = "sandboxer.key.";
/** A keystroke or a paste; larger input goes through the stdin route. */
const MAX_MESSAGE_BYTES = 1024 ** 2;

/** Whether a request is the opening of a process's WebSocket. Other upgrades are answered as the plain requests they also are. */
export function isSocketRequest(request: IncomingMessage): boolean {
  return request.headers.upgrade?.toLowerCase() === "websocket" && request.method === "GET" && PATH.test(request.url ?? "");
}

/** Takes WebSocket upgrades of a listener. */
export class SocketDoor {
  readonly #service: Service;
  readonly #sockets = new WebSocketServer({
    noServer: true,
    maxPayload: MAX_MESSAGE_BYTES,
    // The key is never echoed.
    handleProtocols: (offered) => (offered.has(PROTOCOL) ? PROTOCOL : false),
  });

  constructor(service: Service) {
    this.#service = service;
  }

  /** Checks the request like any other, and attaches it to its process or refuses it with the usual error body. */
  async upgrade(request: IncomingMessage, socket: Duplex, head: Buffer, door: Door): Promise<void> {
    const requestId = newId("request");
    const cancel = new AbortController();
    const onLost = (): void => cancel.abort();
    // Until ws takes the socket over, an error on it would have no listener and end the process.
    socket.on("error", onLost);
    socket.once("close", onLost);
    const { log, counter } = this.#service;
    try {
      const { who, sandboxId, processId, chunks } = await this.#open(request, door, cancel.signal);
      this.#sockets.handleUpgrade(request, socket, head, (client) => {
        socket.off("error", onLost);
        const entry = { request_id: requestId, sandbox_id: sandboxId, process_id: processId, tenant: who.tenant, key_id: who.key_id };
        log.info(entry, "websocket attached");
        counter.count("GET", "/v1/sandboxes/{id}/processes/{pid}/ws", 101);
        void attach({ service: this.#service, who, sandboxId, processId, requestId, client, chunks, cancel }).finally(() =>
          log.info(entry, "websocket detached"),
        );
      });
    } catch (thrown) {
      const error = toPublic(thrown);
      if (error.code === "internal") log.error({ request_id: requestId, err: thrown }, "a request failed");
      log.info(
        { request_id: requestId, method: "GET", path: (request.url ?? "").split("?")[0], status: error.status, code: error.code },
        "request",
      );
      counter.count("GET", "/v1/sandboxes/{id}/processes/{pid}/ws", error.status);
      refuse(socket, error, requestId);
    }
  }

  /** Ends all attachments, and cuts off clients that do not answer within the time. Their processes go on. */
  async close(limitMs: number): Promise<void> {
    const { clients } = this.#sockets;
    const closed = [...clients].map((client) => new Promise<void>((resolve) => void client.once("close", () => resolve())));
    for (const client of clients) client.close(1001, "the server is closing");
    const timer = setTimeout(() => {
      for (const client of clients) client.terminate();
    }, limitMs);
    await Promise.all(closed);
    clearTimeout(timer);
    this.#sockets.close();
  }

  async #open(request: IncomingMessage, door: Door, signal: AbortSignal): Promise<Attachment> {
    const { engine, open } = this.#service;
    checkHost(door, request.headers.host);
    if (open.closing) throw new SandboxerError("shutting_down", "the server is closing");
    const who = await this.#authenticate(request, door);
    requireScope(who, "write");
    const [, sandboxId = "", processId = "", rawQuery = ""] = PATH.exec(request.url ?? "") ?? [];
    for (const [path, kind, id] of [
      ["id", "sandbox", sandboxId],
      ["pid", "process", processId],
    ] as const) {
      const message = `is not the id of a ${kind}`;
      if (!isId(kind, id))
        throw new SandboxerError("invalid_request", `"${path}" in the address ${message}`, { issues: [{ path, message }] });
    }
    const { offset = 0 } = parse(SocketQuery, parseQuery(rawQuery), { what: "query" });
    const chunks = await engine.processes.output(who, sandboxId, processId, { offset, follow: true }, signal);
    return { who, sandboxId, processId, chunks };
  }

  async #authenticate(request: IncomingMessage, door: Door): Promise<Principal> {
    const { origin, host, authorization } = request.headers;
    const offered = (request.headers["sec-websocket-protocol"] ?? "").split(",").map((name) => name.trim());
    const key = offered.find((name) => name.startsWith(KEY_PROTOCOL))?.slice(KEY_PROTOCOL.length);
    if (key !== undefined) return authenticateKey(this.#service.engine, key);
    // Browsers send cookies and reach loopback from any page; a key in the subprotocol is what a page cannot have by chance.
    if (origin !== undefined && !sameOrigin(origin, host)) {
      throw new SandboxerError(
        "forbidden",
        `a page of the origin "${origin}" may not connect without a key in the subprotocol "${KEY_PROTOCOL}<key>"`,
      );
    }
    return authenticate(this.#service.engine, door, authorization);
  }
}

interface Attachment {
  who: Principal;
  sandboxId: string;
  processId: string;
  chunks: AsyncIterable<OutputChunk>;
}

function sameOrigin(origin: string, host: string | undefined): boolean {
  return URL.canParse(origin) && host !== undefined && new URL(origin).host === host.toLowerCase();
}

function refuse(socket: Duplex, error: SandboxerError, requestId: string): void {
  if (socket.destroyed) return;
  const body = JSON.stringify({ error: error.toWire(requestId) });
  const headers: Record<string, string> = {
    ...baseHeaders(requestId),
    "content-type": "application/json",
    "content-length": String(Buffer.byteLength(body)),
    connection: "close",
    ...(error.code === "unauthorized" ? { "www-authenticate": 'Bearer realm="sand-boxer"' } : {}),
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.end(`HTTP/1.1 ${error.status} ${STATUS_CODES[error.status] ?? ""}\r\n${lines.join("")}\r\n${body}`);
}

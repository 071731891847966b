import { createServer, STATUS_CODES, type IncomingMessage, type ServerOptions, type ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { getRequestListener, RequestError } from "@hono/node-server";
import type { Hono } from "hono";
import { newId, SandboxerError } from "../contract/index.ts";
import type { Bindings, Door, Service } from "./call.ts";
import type { E2bDoor } from "./e2b/index.ts";
import type { PreviewDoor } from "./preview/door.ts";
import { toPublic } from "./reply.ts";
import { isSocketRequest, type SocketDoor } from "./socket-door.ts";
import { isTunnelRequest, openTunnel } from "./tunnel-door.ts";
import { createTlsServer, type Listening, type TlsFiles } from "./tls-server.ts";

/** What a listener passes its requests on to. */
export interface Behind {
  readonly app: Hono<{ Bindings: Bindings }>;
  readonly sockets: SocketDoor;
  /** Takes what is of E2B's wire before our own API sees it. */
  readonly e2b: E2bDoor | undefined;
  /** Takes what is for ports inside sandboxes before both. */
  readonly preview: PreviewDoor | undefined;
}

/** A Node server over the app, not listening yet; with TLS where there are files for it. */
export function createListener(service: Service, { app, sockets, e2b, preview }: Behind, door: Door, tls?: TlsFiles): Listening {
  const { limits, log } = service;
  const fetch = (request: Request, env: Omit<Bindings, "door">): Promise<Response> | Response =>
    e2b !== undefined && env.incoming !== undefined && e2b.takes(env.incoming)
      ? e2b.fetch(request, { ...env, door })
      : app.fetch(request, { ...env, door });
  const handle = getRequestListener((request, env) => fetch(request, env as Omit<Bindings, "door">), {
    overrideGlobalObjects: false,
    // Callers of a Unix socket have no host to name.
    ...(door.principal === undefined ? {} : { hostname: "localhost" }),
    errorHandler: (thrown) => refusal(log, thrown),
  });
  const options: ServerOptions = {
    maxHeaderSize: limits.maxHeaderBytes,
    headersTimeout: limits.headersTimeoutMs,
    // Uploads and streamed standard input may last for hours; bodies have limits of their own.
    requestTimeout: 0,
    connectionsCheckingInterval: Math.min(2000, limits.headersTimeoutMs),
    keepAliveTimeout: 65_000,
    // Refused by hono in our error form.
    requireHostHeader: false,
    shouldUpgradeCallback: (incoming) =>
      preview?.placeOf(incoming) !== undefined ||
      isSocketRequest(incoming) ||
      isTunnelRequest(incoming) ||
      e2b?.takesUpgrade(incoming) === true,
  };
  const onRequest = (incoming: IncomingMessage, outgoing: ServerResponse): void => {
    const otherwise = (): void => void handle(incoming, outgoing);
    const place = preview?.placeOf(incoming);
    if (preview === undefined || place === undefined) otherwise();
    else void preview.answer(place, incoming, outgoing, door, otherwise);
  };
  const listening = tls === undefined ? plain(options, onRequest) : createTlsServer(tls, options, onRequest);
  const { server } = listening;
  const onUpgrade = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
    if (e2b?.takesUpgrade(request) === true) void e2b.upgrade(request, socket, head, door);
    else if (isSocketRequest(request)) void sockets.upgrade(request, socket, head, door);
    else if (isTunnelRequest(request)) void openTunnel(service, request, socket, head, door);
    else answerRaw(socket, new SandboxerError("invalid_request", "this address has nothing to upgrade to"));
  };
  server.on("upgrade", (request, socket, head) => {
    const place = preview?.placeOf(request);
    if (preview === undefined || place === undefined) onUpgrade(request, socket, head);
    else void preview.upgrade(place, request, socket, head, door, () => onUpgrade(request, socket, head));
  });
  server.on("clientError", (error: NodeJS.ErrnoException, socket) => answerRaw(socket, clientError(error)));
  return listening;
}

function plain(options: ServerOptions, onRequest: (incoming: IncomingMessage, outgoing: ServerResponse) => void): Listening {
  const server = createServer(options, onRequest);
  return { server, cut: () => server.closeAllConnections() };
}

function clientError(error: NodeJS.ErrnoException): SandboxerError {
  if (error.code === "HPE_HEADER_OVERFLOW") return new SandboxerError("headers_too_large", "the request's line and headers are too large");
  if (error.code === "ERR_HTTP_REQUEST_TIMEOUT") return new SandboxerError("request_timeout", "the headers did not arrive in time");
  return new SandboxerError("invalid_request", "this is not an HTTP request that can be read");
}

/** Answers on a bare connection, where there is no request to answer. */
function answerRaw(socket: Duplex, error: SandboxerError): void {
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const requestId = newId("request");
  const body = JSON.stringify({ error: error.toWire(requestId) });
  socket.end(
    `HTTP/1.1 ${error.status} ${STATUS_CODES[error.status] ?? ""}\r\nconnection: close\r\ncontent-type: application/json\r\n` +
      `x-request-id: ${requestId}\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}

/** The answer where a request has no address or host that a URL could be made of. */
function refusal(log: Service["log"], thrown: unknown): Response {
  const requestId = newId("request");
  const error = thrown instanceof RequestError ? new SandboxerError("invalid_request", thrown.message) : toPublic(thrown);
  if (error.code === "internal") log.error({ request_id: requestId, err: thrown }, "a request failed");
  return Response.json({ error: error.toWire(requestId) }, { status: error.status, headers: { "x-request-id": requestId } });
}

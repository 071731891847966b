import { createServer as createHttp1, type IncomingMessage, type Server } from "node:http";
import { createServer as createHttp2 } from "node:http2";
import type { Duplex } from "node:stream";
import { TLSSocket } from "node:tls";
import { Exchange } from "./exchange.ts";
import { leafContexts } from "./leaves.ts";
import type { Framed } from "./question.ts";
import { served as shareOf, type Served } from "./served.ts";
import type { Authority, Inspected, Inspection, Inspector, InspectorOptions, LiveSession } from "./types.ts";
import { openUpstream, upstreamTrust } from "./upstream.ts";
import { serveUpgrade } from "./websocket.ts";

/** Of a request's head. */
const MAX_HEAD_BYTES = 65_536;
/** A client that sends no further request; the connection's own idle limit holds as well. */
const KEEP_ALIVE_MS = 60_000;
const MAX_STREAMS = 128;
const HANDSHAKE_MS = 10_000;

/** A stream of requests: where they lead, and whose they are. */
interface Requests {
  readonly served: Served;
  readonly framed: Framed;
}

/** Looks into connections: TLS ends here under the sandbox's own CA, and each request is asked for. One a process. */
export function createInspector({ upstreamCa }: InspectorOptions): Inspector {
  const trust = upstreamTrust(upstreamCa);
  const streams = new WeakMap<Duplex, Requests>();
  const http1 = http1Server(streams);
  return {
    open(session, authority) {
      const upstream = openUpstream(session, trust);
      const shared = shareOf(session, upstream);
      return inspection({ session, authority, shared, http1, streams, end: () => upstream.close() });
    },
  };
}

interface Parts {
  readonly session: LiveSession;
  readonly authority: Authority;
  readonly shared: Served;
  readonly http1: Server;
  readonly streams: WeakMap<Duplex, Requests>;
  readonly end: () => void;
}

function inspection({ session, authority, shared, http1, streams, end }: Parts): Inspection {
  const contextFor = leafContexts(authority);
  const clients = new Set<Duplex>();
  const speak = (stream: Duplex, framed: Framed, alpn: string | false): void => {
    if (alpn === "h2") return serveHttp2(stream, shared, framed);
    streams.set(stream, { served: shared, framed });
    http1.emit("connection", stream);
    // What was peeked and put back waits in the stream, which may stand still.
    stream.resume();
  };
  const serve = ({ client, kind, target, via }: Inspected): void => {
    clients.add(client);
    client.once("close", () => clients.delete(client));
    client.on("error", () => {});
    if (kind === "http" || target === null) return speak(client, { scheme: "http", target, via }, false);
    const framed: Framed = { scheme: "https", target, via };
    const secure = new TLSSocket(client, {
      isServer: true,
      secureContext: contextFor(target.host),
      ALPNProtocols: ["h2", "http/1.1"],
    });
    const late = setTimeout(() => secure.destroy(), HANDSHAKE_MS);
    // A failed handshake is a close and nothing else, unless a tls.Server is there to be told.
    const failed = (): void => {
      clearTimeout(late);
      client.destroy();
      recordHandshake(session, framed);
    };
    secure.on("error", () => client.destroy());
    secure.once("close", failed);
    secure.once("secure", () => {
      clearTimeout(late);
      secure.removeListener("close", failed);
      // As tls.Server leaves it: an HTTP/2 session waits for ever otherwise.
      (secure as unknown as { secureConnecting: boolean }).secureConnecting = false;
      speak(secure, framed, secure.alpnProtocol ?? false);
    });
  };
  return {
    serve,
    close() {
      for (const client of clients) client.destroy();
      end();
    },
  };
}

/** One for all: what arrives is found by its stream. It never listens. */
function http1Server(streams: WeakMap<Duplex, Requests>): Server {
  const of = (request: IncomingMessage): Requests => streams.get(request.socket) ?? unknown();
  const server = createHttp1({
    maxHeaderSize: MAX_HEAD_BYTES,
    keepAliveTimeout: KEEP_ALIVE_MS,
    requireHostHeader: false,
    // Anything else that asks to become another protocol is answered as a request.
    shouldUpgradeCallback: ({ headers }: IncomingMessage) => /^websocket$/i.test(headers.upgrade ?? ""),
  } as Parameters<typeof createHttp1>[0]);
  const handle = (request: IncomingMessage, response: ConstructorParameters<typeof Exchange>[3]): void => {
    const { served, framed } = of(request);
    void new Exchange(served, framed, request, response).run();
  };
  server.on("request", handle);
  server.on("checkContinue", handle);
  server.on("upgrade", (request, socket, head) => {
    const { served, framed } = of(request);
    void serveUpgrade(served, framed, { request, socket, head });
  });
  // CONNECT in a connection that leads somewhere already.
  server.on("connect", (request, socket) => {
    const { served, framed } = of(request);
    socket.end("HTTP/1.1 405 Method Not Allowed\r\nallow: GET\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
    recordProtocol(served.session, framed, "CONNECT inside a connection is refused");
  });
  server.on("clientError", (error: NodeJS.ErrnoException, socket) => {
    const requests = streams.get(socket);
    // In TLS 1.3 a client says only after the handshake that it does not trust us.
    if (requests !== undefined && error.code?.startsWith("ERR_SSL") === true) {
      socket.destroy();
      return recordHandshake(requests.served.session, requests.framed);
    }
    if (socket.writable && error.code !== "ECONNRESET") {
      socket.end(`HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`);
      if (requests !== undefined) recordProtocol(requests.served.session, requests.framed, `a request cannot be read: ${error.message}`);
    } else socket.destroy();
  });
  return server;
}

function serveHttp2(stream: Duplex, served: Served, framed: Framed): void {
  const server = createHttp2(
    { settings: { maxConcurrentStreams: MAX_STREAMS, maxHeaderListSize: MAX_HEAD_BYTES } },
    (request, response) => {
      void new Exchange(served, framed, request, response).run();
    },
  );
  server.on("sessionError", () => stream.destroy());
  server.on("timeout", () => stream.destroy());
  server.emit("connection", stream);
}

function recordProtocol(session: LiveSession, { scheme, target, via }: Framed, detail: string): void {
  const none = { address: null, method: null, path: null, rule: null, secret: null, bytes_up: 0, bytes_down: 0, ms: 0 };
  session.record({
    protocol: scheme,
    via,
    host: target?.host ?? "",
    port: target?.port ?? 0,
    verdict: "deny",
    reason: "protocol",
    detail,
    ...none,
  });
}

function recordHandshake(session: LiveSession, { target, via }: Framed): void {
  const none = { address: null, method: null, path: null, rule: null, secret: null, bytes_up: 0, bytes_down: 0, ms: 0 };
  const detail = "the client broke off the TLS handshake; does it trust the sandbox's CA?";
  session.record({
    protocol: "tls",
    via,
    host: target?.host ?? "",
    port: target?.port ?? 0,
    verdict: "deny",
    reason: "error",
    detail,
    ...none,
  });
}

function unknown(): never {
  throw new Error("a request of a connection that was never handed over");
}

import { createServer as createHttp1, type IncomingMessage, type Server } from "node:http";
import { createServer as createHttp2 } from "node:http2";
import type { Duplex } from "node:stream";
import { TLSSocket } from "node:tls";
import { Exchange } from "./exchange.ts";
import { leafContexts } from "./leaves.ts";
import { recordUnread } from "./outcome.ts";
import type { Framed } from "./question.ts";
import { Refused } from "./refusal.ts";
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
  /** A request was refused in a way that ends the stream: what is pipelined behind it is not read as one. */
  over: boolean;
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
    streams.set(stream, { served: shared, framed, over: false });
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
      const { servername } = secure as unknown as { servername: string | false | undefined };
      if (typeof servername === "string" && servername.toLowerCase() !== target.host) {
        secure.destroy();
        return recordUnread(
          session,
          framed,
          new Refused("name_mismatch", `this connection is to ${target.host}; TLS names ${servername}`),
          "tls",
        );
      }
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
    const requests = of(request);
    if (requests.over) return;
    const exchange = new Exchange(requests.served, requests.framed, request, response);
    void exchange.run();
    requests.over = exchange.endsStream;
  };
  server.on("request", handle);
  server.on("checkContinue", handle);
  server.on("upgrade", (request, socket, head) => {
    const { served, framed, over } = of(request);
    if (over) socket.end();
    else void serveUpgrade(served, framed, { request, socket, head });
  });
  // CONNECT in a connection that leads somewhere already.
  server.on("connect", (request, socket) => {
    const { served, framed, over } = of(request);
    if (over) {
      socket.end();
      return;
    }
    socket.end("HTTP/1.1 405 Method Not Allowed\r\nallow: GET\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
    recordUnread(served.session, framed, new Refused("protocol", "CONNECT inside a connection is refused"));
  });
  server.on("clientError", (error: NodeJS.ErrnoException, socket) => {
    const requests = streams.get(socket);
    // The answer that ends it is on its way.
    if (requests?.over === true) return;
    // In TLS 1.3 a client says only after the handshake that it does not trust us.
    if (requests !== undefined && error.code?.startsWith("ERR_SSL") === true) {
      socket.destroy();
      return recordHandshake(requests.served.session, requests.framed);
    }
    if (socket.writable && error.code !== "ECONNRESET") {
      socket.end(`HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`);
      if (requests === undefined) return;
      recordUnread(requests.served.session, requests.framed, new Refused("protocol", `a request cannot be read: ${error.message}`));
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
  server.on("sessionError", (error: NodeJS.ErrnoException) => {
    stream.destroy();
    if (error.code?.startsWith("ERR_SSL") === true) recordHandshake(served.session, framed);
  });
  server.on("connect", (_request, response) => {
    response.writeHead(405).end();
    recordUnread(served.session, framed, new Refused("protocol", "CONNECT inside a connection is refused"));
  });
  server.on("timeout", () => stream.destroy());
  server.emit("connection", stream);
}

function recordHandshake(session: LiveSession, framed: Framed): void {
  recordUnread(session, framed, new Refused("error", "the client broke off the TLS handshake; does it trust the sandbox's CA?"), "tls");
}

function unknown(): never {
  throw new Error("a request of a connection that was never handed over");
}

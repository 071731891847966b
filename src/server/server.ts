import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { LOCAL_OPERATOR, type Logger, type Principal } from "../contract/index.ts";
import { type PlainInit, plainRequest } from "../contract/plain-web.ts";
import type { Engine } from "../engine/engine.ts";
import { createApp } from "./app.ts";
import type { Door, Service } from "./call.ts";
import type { E2bDoor, E2bOptions } from "./e2b/index.ts";
import { DEFAULT_LIMITS, type ServerLimits } from "./limits.ts";
import { HttpCounter } from "./metrics.ts";
import { OpenCalls } from "./open-calls.ts";
import type { SocketDoor } from "./socket-door.ts";
import { listen, listenOnSocket } from "./unix-socket.ts";

export interface ServerOptions {
  readonly engine: Engine;
  /** One line a request, and what went wrong. No key, no body and no query goes there. */
  readonly log: Logger;
  readonly version: string;
  readonly limits?: Partial<ServerLimits>;
  /** Serves E2B's wire beside our own API on every listener; not served unless given. */
  readonly e2b?: E2bOptions;
}

/** The HTTP door over an engine. */
export interface SandboxerServer {
  /**
   * The API in this process, without a connection. Needs a key like any caller, unless `principal` says who is asking.
   * WebSockets are not to be had in this way.
   */
  fetch(request: Request, as?: { principal: Principal }): Promise<Response>;
  /** The same, in the form of a client's `fetch`, with requests and answers that do without Node's own: see {@link plainRequest}. */
  call(url: string, init: PlainInit, as?: { principal: Principal }): Promise<Response>;
  /** Listens on TCP; 127.0.0.1:8420 unless told otherwise, port 0 for a free one. Every call needs a key. Throws `conflict` where the address is taken. */
  listen(at?: { host?: string; port?: number }): Promise<{ host: string; port: number; url: string }>;
  /** Listens on a Unix socket with mode 0600, whose callers are the local operator. Throws `conflict` where a server answers there already. */
  listenUnix(path: string): Promise<void>;
  /** Takes no more calls, ends event streams, waits for the rest within the grace time, then cuts it off. The engine stays open. Safe to repeat. */
  close(): Promise<void>;
}

const LOOPBACK_HOSTS: ReadonlySet<string> = new Set(["127.0.0.1", "::1", "localhost"]);

/** Makes the door; it listens when told to. */
export function createServer({ engine, log, version, limits, e2b }: ServerOptions): SandboxerServer {
  const service: Service = {
    engine,
    log,
    version,
    limits: { ...DEFAULT_LIMITS, ...limits },
    open: new OpenCalls(),
    counter: new HttpCounter(),
  };
  const app = createApp(service);
  let sockets: SocketDoor | undefined;
  const servers: Server[] = [];
  let port = 0;
  let e2bDoor: E2bDoor | undefined;
  // A process that only calls itself needs none of what listening takes.
  const listenerFor = async (door: Door): Promise<Server> => {
    const [{ createListener }, { SocketDoor }, e2bRoom] = await Promise.all([
      import("./listener.ts"),
      import("./socket-door.ts"),
      e2b === undefined ? undefined : import("./e2b/index.ts"),
    ]);
    sockets ??= new SocketDoor(service);
    if (e2b !== undefined) e2bDoor ??= e2bRoom?.createE2bDoor(service, e2b, () => port);
    return createListener(service, { app, sockets, e2b: e2bDoor }, door);
  };
  const answer = async (request: Request, as: { principal: Principal } | undefined): Promise<Response> =>
    app.fetch(request, { door: { principal: as?.principal, loopback: false } });

  const close = async (): Promise<void> => {
    const closed = servers.map((server) => new Promise<void>((resolve) => void server.close(() => resolve())));
    const { graceMs } = service.limits;
    await Promise.all([service.open.close(graceMs), sockets?.close(graceMs)]);
    for (const server of servers) server.closeAllConnections();
    await Promise.all(closed);
    service.counter.stop();
  };
  let closing: Promise<void> | undefined;

  return {
    async fetch(request, as) {
      const { body, status, headers } = await answer(request, as);
      return new Response(body, { status, headers: [...headers] });
    },
    call(url, init, as) {
      return answer(plainRequest(url, init), as);
    },
    async listen({ host = "127.0.0.1", port: asked = 8420 } = {}) {
      const server = await listenerFor({ principal: undefined, loopback: LOOPBACK_HOSTS.has(host) });
      await listen(server, { host, port: asked }, `${host}:${asked}`);
      servers.push(server);
      const { address, port: actual, family } = server.address() as AddressInfo;
      if (port === 0) port = actual;
      return { host: address, port: actual, url: `http://${family === "IPv6" ? `[${address}]` : address}:${actual}` };
    },
    async listenUnix(path) {
      const server = await listenerFor({ principal: LOCAL_OPERATOR, loopback: false });
      await listenOnSocket(server, path);
      servers.push(server);
    },
    close() {
      return (closing ??= close());
    },
  };
}

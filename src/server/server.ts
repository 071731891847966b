import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { LOCAL_OPERATOR, type Logger, type Principal } from "../contract/index.ts";
import type { Engine } from "../engine/engine.ts";
import { createApp } from "./app.ts";
import type { Door, Service } from "./call.ts";
import type { E2bDoor, E2bOptions } from "./e2b/index.ts";
import { DEFAULT_LIMITS, type ServerLimits } from "./limits.ts";
import { createListener } from "./listener.ts";
import { HttpCounter } from "./metrics.ts";
import { OpenCalls } from "./open-calls.ts";
import { SocketDoor } from "./socket-door.ts";
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
  const sockets = new SocketDoor(service);
  const servers: Server[] = [];
  let port = 0;
  let e2bDoor: Promise<E2bDoor> | undefined;
  // Loaded by the first listener: a command that has its engine in its own process does without.
  const openE2b = async (options: E2bOptions): Promise<E2bDoor> => {
    const { createE2bDoor } = await import("./e2b/index.ts");
    return createE2bDoor(service, options, () => port);
  };
  const listenerFor = async (door: Door): Promise<Server> =>
    createListener(service, { app, sockets, e2b: e2b === undefined ? undefined : await (e2bDoor ??= openE2b(e2b)) }, door);

  const close = async (): Promise<void> => {
    const closed = servers.map((server) => new Promise<void>((resolve) => void server.close(() => resolve())));
    const { graceMs } = service.limits;
    await Promise.all([service.open.close(graceMs), sockets.close(graceMs)]);
    for (const server of servers) server.closeAllConnections();
    await Promise.all(closed);
    service.counter.stop();
  };
  let closing: Promise<void> | undefined;

  return {
    async fetch(request, as) {
      return app.fetch(request, { door: { principal: as?.principal, loopback: false } });
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

import type { AddressInfo } from "node:net";
import { LOCAL_OPERATOR, type Logger, NO_TELEMETRY, type Principal, type Telemetry } from "../contract/index.ts";
import { type PlainInit, plainRequest } from "../contract/plain-web.ts";
import type { Engine } from "../engine/engine.ts";
import { createApp } from "./app.ts";
import type { Door, Service } from "./call.ts";
import type { E2bDoor, E2bOptions } from "./e2b/index.ts";
import { DEFAULT_LIMITS, type ServerLimits } from "./limits.ts";
import { HttpCounter } from "./metrics.ts";
import { OpenCalls } from "./open-calls.ts";
import { PreviewAddresses } from "./preview/addresses.ts";
import type { PreviewDoor, PreviewOptions } from "./preview/door.ts";
import type { SocketDoor } from "./socket-door.ts";
import type { Listening, TlsFiles } from "./tls-server.ts";
import { listen, listenOnSocket } from "./unix-socket.ts";

export interface ServerOptions {
  readonly engine: Engine;
  /** One line a request, and what went wrong. No key, no body and no query goes there. */
  readonly log: Logger;
  readonly version: string;
  readonly limits?: Partial<ServerLimits>;
  /** Where the traces of requests go; nowhere unless given. */
  readonly telemetry?: Telemetry;
  /** Serves E2B's wire beside our own API on every listener; not served unless given. */
  readonly e2b?: E2bOptions;
  /** Serves published ports of sandboxes by host name and by path on every listener; not served unless given. */
  readonly preview?: PreviewOptions;
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
  /** The same with TLS, HTTP/2 and HTTP/1.1; 127.0.0.1:8443 unless told otherwise. */
  listenTls(at: TlsFiles & { host?: string; port?: number }): Promise<{ host: string; port: number }>;
  /** Listens on a Unix socket with mode 0600, whose callers are the local operator. Throws `conflict` where a server answers there already. */
  listenUnix(path: string): Promise<void>;
  /** Takes no more calls, ends event streams, waits for the rest within the grace time, then cuts it off. The engine stays open. Safe to repeat. */
  close(): Promise<void>;
}

const LOOPBACK_HOSTS: ReadonlySet<string> = new Set(["127.0.0.1", "::1", "localhost"]);

/** Makes the door; it listens when told to. */
export function createServer({ engine, log, version, limits, e2b, preview, telemetry = NO_TELEMETRY }: ServerOptions): SandboxerServer {
  const ports = { plain: 0, tls: 0 };
  const service: Service = {
    engine,
    log,
    version,
    limits: { ...DEFAULT_LIMITS, ...limits },
    open: new OpenCalls(),
    counter: new HttpCounter(),
    telemetry,
    ...(preview === undefined ? {} : { addresses: new PreviewAddresses(preview, ports) }),
  };
  // What cannot be told now is told when the boundary answers again.
  const protect = (address: string, port: number): Promise<void> =>
    engine.network
      .protect(`${address === "::" ? "0.0.0.0" : address}:${port}`)
      .catch((thrown: unknown) => log.warn({ error: String(thrown) }, "the boundary was not told where this server listens"));
  const app = createApp(service);
  let sockets: SocketDoor | undefined;
  const listeners: Listening[] = [];
  let e2bDoor: E2bDoor | undefined;
  let previewDoor: PreviewDoor | undefined;
  // A process that only calls itself needs none of what listening takes.
  const listenerFor = async (door: Door, tls?: TlsFiles): Promise<Listening> => {
    const [{ createListener }, { SocketDoor }, e2bRoom, previewRoom] = await Promise.all([
      import("./listener.ts"),
      import("./socket-door.ts"),
      e2b === undefined ? undefined : import("./e2b/index.ts"),
      preview === undefined ? undefined : import("./preview/door.ts"),
    ]);
    service.counter.watch();
    sockets ??= new SocketDoor(service);
    if (e2b !== undefined) e2bDoor ??= e2bRoom?.createE2bDoor(service, e2b, ports);
    if (preview !== undefined && previewRoom !== undefined) previewDoor ??= new previewRoom.PreviewDoor(service, preview, e2bDoor);
    return createListener(service, { app, sockets, e2b: e2bDoor, preview: previewDoor }, door, tls);
  };
  const answer = async (request: Request, as: { principal: Principal } | undefined): Promise<Response> =>
    app.fetch(request, { door: { principal: as?.principal, loopback: false } });

  const close = async (): Promise<void> => {
    const closed = listeners.map(({ server }) => new Promise<void>((resolve) => void server.close(() => resolve())));
    const { graceMs } = service.limits;
    await Promise.all([service.open.close(graceMs), sockets?.close(graceMs)]);
    for (const listener of listeners) listener.cut();
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
      const listener = await listenerFor({ principal: undefined, loopback: LOOPBACK_HOSTS.has(host) });
      const { server } = listener;
      await listen(server, { host, port: asked }, `${host}:${asked}`);
      listeners.push(listener);
      const { address, port: actual, family } = server.address() as AddressInfo;
      if (ports.plain === 0) ports.plain = actual;
      await protect(address, actual);
      return { host: address, port: actual, url: `http://${family === "IPv6" ? `[${address}]` : address}:${actual}` };
    },
    async listenTls({ host = "127.0.0.1", port: asked = 8443, ...files }) {
      // A page cannot take a name of its own to this listener, as it has no certificate for it.
      const listener = await listenerFor({ principal: undefined, loopback: false }, files);
      await listen(listener.server, { host, port: asked }, `${host}:${asked}`);
      listeners.push(listener);
      const { address, port: actual } = listener.server.address() as AddressInfo;
      ports.tls = actual;
      await protect(address, actual);
      return { host: address, port: actual };
    },
    async listenUnix(path) {
      const listener = await listenerFor({ principal: LOCAL_OPERATOR, loopback: false });
      await listenOnSocket(listener.server, path);
      listeners.push(listener);
    },
    close() {
      return (closing ??= close());
    },
  };
}

import { createSocket, type Socket as UdpSocket } from "node:dgram";
import { createServer, type Server, type ServerOpts, Socket } from "node:net";
import { type Handle, NetnsProcess } from "./process.ts";

export interface ListenOptions extends Pick<ServerOpts, "allowHalfOpen" | "pauseOnConnect" | "noDelay"> {
  /** An IPv4 or IPv6 address. */
  readonly host: string;
  readonly port: number;
  /** IP_TRANSPARENT: TPROXY may send it connections to any address, which each accepted socket then has as its local one. */
  readonly transparent?: boolean;
  /** Connections that wait to be accepted; 511 unless given, and no more than the kernel's limit. */
  readonly backlog?: number;
}

/**
 * Sockets in other network namespaces. A namespace is a path that setns(2) takes: a mounted one, or `/proc/<pid>/ns/net`. A
 * socket stays in the namespace that it was made in, and keeps that alive. Each costs about 0.3 ms. Needs CAP_SYS_ADMIN. Every method
 * rejects with {@link NetnsError}.
 */
export interface Netns {
  /** Listening when it resolves. What `onConnection` needs must be there before. */
  listen(namespace: string, options: ListenOptions, onConnection?: (socket: Socket) => void): Promise<Server>;
  /** A UDP socket, bound. */
  bind(namespace: string, address: { readonly host: string; readonly port: number }): Promise<UdpSocket>;
  /** A connection, once it stands, which may be half open (allowHalfOpen). A slow one holds up no other; an abort rejects with the signal's reason. */
  connect(namespace: string, host: string, port: number, signal?: AbortSignal): Promise<Socket>;
  /** Ends the helper. The sockets live on. */
  dispose(): void;
}

/** One for a process that needs it: it has a helper of its own (native/netns.pl, some 5 MiB), started with the first request. */
export function openNetns({ arch = process.arch }: { arch?: NodeJS.Architecture } = {}): Netns {
  const helper = new NetnsProcess(arch);
  return {
    async listen(namespace, { host, port, transparent = false, backlog = 511, ...options }, onConnection) {
      const handle = await helper.ask("listen", [hex(namespace), host, port, transparent ? 1 : 0]);
      const server = createServer(options, onConnection);
      return new Promise((resolve, reject) => {
        server.once("error", reject);
        server.listen(handle, backlog, () => {
          server.removeListener("error", reject);
          resolve(server);
        });
      });
    },
    async bind(namespace, { host, port }) {
      const handle = await helper.ask("bind", [hex(namespace), host, port]);
      const socket = createSocket(host.includes(":") ? "udp6" : "udp4");
      return new Promise((resolve, reject) => {
        socket.once("error", reject);
        // Node's own way for a socket that came from another process; its types do not know it.
        (socket as unknown as { bind(handle: Handle, done: () => void): void }).bind(handle, () => {
          socket.removeListener("error", reject);
          resolve(socket);
        });
      });
    },
    async connect(namespace, host, port, signal) {
      const handle = await helper.ask("connect", [hex(namespace), host, port], signal);
      return new Socket({ handle, readable: true, writable: true, allowHalfOpen: true } as ConstructorParameters<typeof Socket>[0]);
    },
    dispose: () => helper.dispose(),
  };
}

function hex(path: string): string {
  return Buffer.from(path).toString("hex");
}

import type { IncomingMessage, Server, ServerOptions, ServerResponse } from "node:http";
import { createSecureServer, type SecureServerOptions } from "node:http2";
import type { Socket } from "node:net";

/** PEM. */
export interface TlsFiles {
  readonly certificate: string | Buffer;
  readonly key: string | Buffer;
}

/** As much of a Node server as listening and closing take. */
export interface Listening {
  readonly server: Server;
  /** Ends every connection, whatever it is in the middle of. */
  cut(): void;
}

/**
 * A server with TLS that speaks HTTP/2 and HTTP/1.1, chosen by ALPN. Node gives HTTP/2 requests as objects that resemble
 * those of HTTP/1, which is all that is asked of them here.
 */
export function createTlsServer(
  files: TlsFiles,
  options: ServerOptions,
  handle: (incoming: IncomingMessage, outgoing: ServerResponse) => void,
): Listening {
  const secure: SecureServerOptions = { cert: files.certificate, key: files.key, allowHTTP1: true, minVersion: "TLSv1.2" };
  const server = createSecureServer({ ...options, ...secure }) as unknown as Server;
  server.on("request", handle);
  // HTTP/2 sessions are not among the connections that Node can close by itself.
  const connections = new Set<Socket>();
  server.on("secureConnection", (socket: Socket) => {
    connections.add(socket);
    socket.once("close", () => connections.delete(socket));
  });
  return {
    server,
    cut: () => {
      for (const connection of connections) connection.destroy();
    },
  };
}

import { connect } from "node:net";
import { Readable } from "node:stream";
import { SandboxerError } from "../contract/errors.ts";
import { plainResponse } from "../contract/plain-web.ts";
import type { FetchFunction, WebSocketConstructor } from "../sdk/index.ts";

/** Whether something listens on the Unix socket. A socket that is there but closed to us is an error: working beside its server would be wrong. */
export function listens(socketPath: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = connect(socketPath);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT" || error.code === "ECONNREFUSED" || error.code === "ENOTDIR") return resolve(false);
      const denied = error.code === "EACCES" || error.code === "EPERM";
      reject(
        new SandboxerError(
          denied ? "forbidden" : "backend_unavailable",
          `cannot talk to the server's socket ${socketPath} (${error.code ?? error.message})`,
          {
            phase: "connect",
            hint: denied
              ? "Use the account the server runs as, or set SANDBOXER_URL and SANDBOXER_API_KEY, or another SANDBOXER_DATA."
              : "Look whether the server is well, or set SANDBOXER_DATA to another directory.",
            cause: error,
          },
        ),
      );
    });
  });
}

/**
 * `fetch` over TCP or a Unix socket, for the SDK. Unlike Node's own it sends a request's head at once: Node's waits for
 * the first bytes of a streamed body, and a command whose standard input stays silent would never start.
 */
export function nodeFetch(socketPath?: string): FetchFunction {
  // Not imported: an engine of our own does without, and an import of it loads all of Node's HTTP client besides.
  const { Agent, request: requestHttp } = process.getBuiltinModule("node:http");
  const agent = socketPath === undefined ? {} : { agent: new Agent({ keepAlive: true }), socketPath };
  return (address, { method, headers, body, signal }) => {
    const url = new URL(address);
    const request = url.protocol === "https:" ? process.getBuiltinModule("node:https").request : requestHttp;
    const outgoing = request(url, { ...agent, method, headers, signal });
    const { promise, resolve, reject } = Promise.withResolvers<Response>();
    outgoing.once("error", reject);
    outgoing.once("response", (incoming) => {
      const status = incoming.statusCode ?? 500;
      const answer = Object.fromEntries(Object.entries(incoming.headers).map(([name, value]) => [name, String(value)]));
      const empty = method === "HEAD" || status === 204 || status === 304;
      if (empty) incoming.resume();
      // Half-way errors reach the reader of the body; here they have no other listener.
      incoming.once("error", () => outgoing.destroy());
      resolve(plainResponse(empty ? null : (Readable.toWeb(incoming) as ReadableStream<Uint8Array>), status, answer));
    });
    if (body === undefined || typeof body === "string" || body instanceof Uint8Array) outgoing.end(body);
    else {
      outgoing.flushHeaders();
      Readable.fromWeb(body as never)
        .once("error", (error: Error) => outgoing.destroy(error))
        .pipe(outgoing);
    }
    return promise;
  };
}

/** A WebSocket over a Unix socket, for the SDK. Loaded when something attaches. */
export async function unixWebSocket(socketPath: string): Promise<WebSocketConstructor> {
  const { WebSocket } = await import("ws");
  return class extends WebSocket {
    constructor(address: string, protocols: string[]) {
      const url = new URL(address);
      super(`ws+unix://${socketPath}:${url.pathname}${url.search}`, protocols, { headers: { host: "localhost" } });
    }
  };
}

import { join } from "node:path";
import { SandBoxer } from "../sdk/index.ts";
import { dataDirectory, ensureDataDirectory } from "./data-directory.ts";
import { listens, nodeFetch, unixWebSocket } from "./http.ts";

/** How commands reach an engine. They speak the SDK and nothing else, wherever it runs. */
export interface Connection {
  readonly client: SandBoxer;
  /** For people: the url, the socket's path, or "this process". */
  readonly where: string;
  /** Lets go; sandboxes live on. */
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * `SANDBOXER_URL` where it is set; else the socket of the server that uses this data directory; else an engine in
 * this process.
 */
export async function connect(options: { attach?: boolean } = {}): Promise<Connection> {
  const { SANDBOXER_URL: url } = process.env;
  if (url !== undefined && url !== "") {
    return { client: new SandBoxer({ url, fetch: nodeFetch() }), where: url, [Symbol.asyncDispose]: () => Promise.resolve() };
  }
  const data = dataDirectory();
  ensureDataDirectory(data);
  const socket = join(data, "server.sock");
  if (await listens(socket)) {
    const client = new SandBoxer({
      url: "http://localhost",
      apiKey: "",
      fetch: nodeFetch(socket),
      WebSocket: options.attach === true ? await unixWebSocket(socket) : false,
    });
    return { client, where: socket, [Symbol.asyncDispose]: () => Promise.resolve() };
  }
  const { openInProcess } = await import("./in-process.ts");
  return openInProcess(data);
}

import { SandBoxer } from "../sdk/index.ts";
import type { Connection } from "./connect.ts";

/** An engine of our own, reached through the same API as a server's, without a socket in between. */
export async function openInProcess(data: string): Promise<Connection> {
  const { localFetch, openSandboxer } = await import("../main.ts");
  const opened = await openSandboxer({ dataDir: data });
  const client = new SandBoxer({
    url: "http://localhost",
    apiKey: "",
    fetch: await localFetch(opened),
    // Attaching goes over the same fetch: there is no socket to open.
    WebSocket: false,
    timeoutMs: 0,
  });
  return { client, where: "this process", [Symbol.asyncDispose]: () => opened.close() };
}

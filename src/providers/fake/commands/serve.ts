import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { orAborted } from "../channel.ts";
import { actorOf, complain } from "../shell/shell.ts";
import type { CommandFunction, Shell } from "../shell/shell.ts";
import { TreeError } from "../tree-node.ts";

/** A server that a sandbox's ports lead to. */
export const SERVE_COMMANDS: Readonly<Record<string, CommandFunction>> = {
  /** `httpd PORT` until it is killed: the files below the working directory; a POST is answered with its body, `/.headers` with what was sent. */
  async httpd(shell, [port = ""]) {
    const { listeners } = shell.sandbox;
    const number = Number(port);
    if (!/^\d{1,5}$/.test(port) || number < 1 || number > 65_535) return await complain(shell, `httpd: invalid port '${port}'`, 2);
    if (listeners.has(number)) return await complain(shell, `httpd: port ${port}: Address already in use`);
    const server = createServer((request, response) => answer(shell, request, response));
    const open = new Set<Duplex>();
    listeners.set(number, (connection) => {
      open.add(connection);
      connection.once("close", () => open.delete(connection));
      server.emit("connection", connection);
    });
    try {
      return await orAborted(new Promise<never>(() => {}), shell.task.signal);
    } finally {
      listeners.delete(number);
      for (const connection of open) connection.destroy();
    }
  },
};

function answer(shell: Shell, request: IncomingMessage, response: ServerResponse): void {
  const path = (request.url ?? "/").split("?")[0] ?? "/";
  if (request.method === "POST") return void request.pipe(response);
  if (path === "/.headers") return void response.end(JSON.stringify({ url: request.url, headers: request.headers }));
  try {
    const { node } = shell.sandbox.tree.lookup(`.${path}`, actorOf(shell));
    if (node.kind === "file") response.end(node.buffer.subarray(0, node.size));
    else response.writeHead(404).end();
  } catch (thrown) {
    if (!(thrown instanceof TreeError)) throw thrown;
    response.writeHead(404).end();
  }
}

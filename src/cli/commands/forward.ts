import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { SandboxerError } from "../../contract/errors.ts";
import type { Command } from "../command.ts";
import { connect } from "../connect.ts";
import { usageError } from "../failure.ts";
import { interruptible, signalCode } from "../interrupt.ts";
import { count, expect } from "../parse.ts";
import { json, line, note } from "../print.ts";
import { openTunnel } from "../tunnel.ts";

export const command: Command = {
  usage: "forward [OPTIONS] ID PORT",
  about: `Listens on 127.0.0.1 of this machine and leads every connection to PORT in sandbox ID, published or not, whatever protocol it
speaks. Works through a server (sand-boxer serve) until Ctrl-C.`,
  options: { local: { type: "string", value: "PORT", about: "Port to listen on; 0 takes a free one; default: the same" } },
  positionals: ["sandbox"],
  examples: [
    ["forward ID 5432", "a database inside, as if it ran here"],
    ["forward --local 0 --json ID 8000", "on a free port, told as JSON"],
  ],
  async run(args) {
    const [id = "", text = ""] = expect("forward", args, "ID", "PORT");
    const port = portIn(text);
    const local = args.text("local");
    await using connection = await connect();
    if (connection.where === "this process")
      throw new SandboxerError("wrong_state", "a tunnel goes through a server, and none runs over this data directory", {
        hint: "Start one with 'sand-boxer serve', or set SANDBOXER_URL and SANDBOXER_API_KEY.",
      });
    await connection.client.connect(id);
    using interrupt = interruptible({ reader: false });
    const open = new Set<Socket>();
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      open.add(socket);
      socket.once("close", () => open.delete(socket));
      void lead(socket, connection.where, id, port);
    });
    const at = await listen(server, local === undefined ? port : portIn(local, 0));
    if (args.json) await json({ host: "127.0.0.1", port: at, sandbox_id: id, sandbox_port: port });
    else await line(`127.0.0.1:${at} leads to port ${port} of ${id}; Ctrl-C ends it`);
    if (!interrupt.signal.aborted)
      await new Promise<void>((resolve) => interrupt.signal.addEventListener("abort", () => resolve(), { once: true }));
    server.close();
    for (const socket of open) socket.destroy();
    return interrupt.by === "SIGHUP" ? signalCode("SIGHUP") : 0;
  },
};

function portIn(text: string, least = 1): number {
  const port = count("forward", "local", text);
  if (port < least || port > 65_535) throw usageError("forward", `PORT must be a number from ${least} to 65535; got "${text}"`);
  return port;
}

async function listen(server: Server, port: number): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", (cause: NodeJS.ErrnoException) =>
      reject(
        new SandboxerError("conflict", `cannot listen on 127.0.0.1:${port} (${cause.code ?? cause.message})`, {
          hint: "Take another with --local PORT; --local 0 takes a free one.",
          cause,
        }),
      ),
    );
    server.listen(port, "127.0.0.1", () => resolve());
  });
  return (server.address() as AddressInfo).port;
}

/** One connection's way. What cannot be led there is told and closed; the others go on. */
async function lead(socket: Socket, where: string, id: string, port: number): Promise<void> {
  socket.on("error", () => socket.destroy());
  try {
    const tunnel = await openTunnel(where, id, port);
    if (socket.destroyed) return void tunnel.destroy();
    tunnel.on("error", () => socket.destroy());
    socket.once("close", () => tunnel.destroy());
    socket.pipe(tunnel).pipe(socket);
  } catch (thrown) {
    const { code, message } = SandboxerError.from(thrown);
    note(`error[${code}]: ${message}`);
    socket.destroy();
  }
}

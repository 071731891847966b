import { join } from "node:path";
import type { Command } from "../command.ts";
import { dataDirectory, ensureDataDirectory } from "../data-directory.ts";
import { usageError } from "../failure.ts";
import { interruptible, signalCode } from "../interrupt.ts";
import { count, expect } from "../parse.ts";
import { json, line, note } from "../print.ts";

const LOOPBACK: ReadonlySet<string> = new Set(["127.0.0.1", "::1", "localhost"]);
const DEFAULT_PORT = 8420;

export const command: Command = {
  usage: "serve [OPTIONS]",
  about: `Serves the HTTP API on 127.0.0.1:8420 and on the Unix socket server.sock of the data directory. Callers on TCP need a
key (sand-boxer keys create); the socket is open to the account it runs as only. At start it adopts the sandboxes
that live, ends those that expired and removes orphans, and says so. Ctrl-C stops serving; sandboxes live on until
their clocks end them.`,
  options: {
    port: { type: "string", value: "PORT", about: "TCP port; 0 takes a free one; default: 8420" },
    host: { type: "string", value: "ADDRESS", about: "Address to listen on; default: 127.0.0.1" },
  },
  positionals: [],
  examples: [
    ["serve", "for this machine"],
    ["serve --port 9000 --json", "with the address as a JSON document on the first line"],
  ],
  async run(args) {
    expect("serve", args);
    const given = args.text("port");
    const asked = given === undefined ? undefined : count("serve", "port", given);
    if (asked !== undefined && asked > 65_535) throw usageError("serve", `--port must be at most 65535; got ${asked}`);
    const data = dataDirectory();
    ensureDataDirectory(data);
    using interrupt = interruptible({ reader: false });

    const { listenWithTls, openSandboxer, serverOver } = await import("../../main.ts");
    const opened = await openSandboxer({ dataDir: data, stays: true });
    const { listen } = opened.config;
    const host = args.text("host") ?? listen?.host ?? "127.0.0.1";
    const server = await serverOver(opened);
    try {
      // The socket first: it is what keeps a second server from this data directory.
      const socket = join(data, "server.sock");
      await server.listenUnix(socket);
      const { url } = await server.listen({ host, port: asked ?? listen?.port ?? DEFAULT_PORT });
      const tls = await listenWithTls(opened, server);
      const e2b = tls === undefined ? {} : { e2b: { domain: tls.domain, authority: tls.authority ?? null } };
      if (args.json) await json({ url, socket, data, ...e2b });
      else await greet(url, socket, data);
      if (tls !== undefined && !args.json)
        await line(
          `  E2B_DOMAIN=${tls.domain}${tls.authority === undefined ? "" : ` NODE_EXTRA_CA_CERTS=${tls.authority} SSL_CERT_FILE=${tls.authority}`}`,
        );
      // Beside the first calls: what lives is in the ledger already, and a full pool of disks takes its time.
      const stock = opened.engine.sweep({ adopt: true });
      if (!LOOPBACK.has(host))
        note(`warning: ${host} can be reached from other machines, and keys cross the network in the clear; put TLS in front of it`);
      if (!interrupt.signal.aborted)
        await new Promise<void>((resolve) => interrupt.signal.addEventListener("abort", () => resolve(), { once: true }));
      await stock;
      note(`${interrupt.by ?? "stopping"}: letting calls finish; again to stop at once`);
      return interrupt.by === "SIGINT" || interrupt.by === "SIGTERM" ? 0 : signalCode(interrupt.by ?? "SIGTERM");
    } finally {
      await server.close();
      await opened.close();
    }
  },
};

async function greet(url: string, socket: string, data: string): Promise<void> {
  await line(`sand-boxer serves ${url} (API reference: ${url}/docs)
  socket  ${socket} (this account, no key)
  data    ${data}
next:
  sand-boxer run -- echo hello                 from this account, over the socket
  sand-boxer keys create NAME                  makes a key for callers over TCP
  SANDBOXER_URL=${url} SANDBOXER_API_KEY=... sand-boxer ls
  sand-boxer e2b env                           points programs on the E2B SDK here`);
}

import { readFileSync } from "node:fs";
import { Agent as HttpAgent } from "node:http";
import type { Duplex } from "node:stream";
import { SandboxerError } from "../../contract/index.ts";
import { SshHost } from "../shared/ssh/host.ts";
import { SocketTunnel } from "../shared/ssh/tunnel.ts";
import type { Settings } from "./options.ts";
import { type Docker, loadSdk } from "./sdk.ts";

/** The client of an engine, and what it stands on. */
export interface Connection {
  readonly docker: Docker;
  close(): void;
}

/** The client of the engine that the settings name. Connects to nothing yet. */
export async function connect({ address }: Settings, directory: string, backend: string): Promise<Connection> {
  const Dockerode = await loadSdk();
  if (address.kind === "socket") return { docker: new Dockerode({ socketPath: address.path }), close() {} };
  if (address.kind === "tcp") {
    const { host, port, tls } = address;
    const secured =
      tls === undefined ? { protocol: "http" } : { protocol: "https", ca: pem(tls.ca), cert: pem(tls.cert), key: pem(tls.key) };
    return { docker: new Dockerode({ host, port, ...secured }), close() {} };
  }
  const tunnel = new SocketTunnel(new SshHost(address.ssh, directory, backend), address.socket);
  const agent = new TunnelAgent(tunnel);
  return {
    docker: new Dockerode({ host: "localhost", protocol: "http", agent }),
    close() {
      agent.destroy();
      tunnel.close();
    },
  };
}

function pem(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (cause) {
    throw new SandboxerError("backend_auth", `${file} cannot be read: ${String(cause)}`, { phase: "open", cause });
  }
}

/** Connections through the tunnel, which is opened again where it broke. */
class TunnelAgent extends HttpAgent {
  readonly #tunnel: SocketTunnel;

  constructor(tunnel: SocketTunnel) {
    super({ keepAlive: true, maxFreeSockets: 8 });
    this.#tunnel = tunnel;
  }

  override createConnection(_options: object, callback?: (error: Error | null, stream: Duplex) => void): undefined {
    const told = callback as (error: Error | null, stream?: Duplex) => void;
    this.#tunnel.channel(new AbortController().signal).then(
      (socket) => told(null, socket),
      (thrown: unknown) => told(thrown instanceof Error ? thrown : new Error(String(thrown))),
    );
    return undefined;
  }
}

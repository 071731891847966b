import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { Agent as HttpAgent } from "node:http";
import { Duplex } from "node:stream";
import { SandboxerError } from "../../contract/index.ts";
import type { Settings } from "./options.ts";
import { loadSdk, type Docker } from "./sdk.ts";

/** The client of the engine that the settings name. Connects to nothing yet. */
export async function connect(settings: Settings): Promise<Docker> {
  const Dockerode = await loadSdk();
  return new Dockerode(addressOf(settings));
}

/** Whether the engine is on this very host, so that its containers' processes are ours to see. */
export function isOnThisHost({ host }: Settings): boolean {
  return host.startsWith("unix://");
}

function addressOf({ host, tls, sshOptions }: Settings): object {
  if (host.startsWith("unix://")) return { socketPath: host.slice("unix://".length) };
  const url = new URL(host);
  if (url.protocol === "ssh:") return { host: "localhost", protocol: "http", agent: new DialAgent(url, sshOptions) };
  const port = Number(url.port || (tls === undefined ? 2375 : 2376));
  if (tls === undefined) return { host: url.hostname, port, protocol: "http" };
  return { host: url.hostname, port, protocol: "https", ca: pem(tls.ca), cert: pem(tls.cert), key: pem(tls.key) };
}

function pem(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (cause) {
    throw new SandboxerError("backend_auth", `${file} cannot be read: ${String(cause)}`, { phase: "open", cause });
  }
}

/**
 * Each connection is the standard input and output of `docker system dial-stdio` over the system's own ssh: its configuration, agent and
 * known hosts hold, and a host key that it does not know is refused.
 */
class DialAgent extends HttpAgent {
  readonly #argv: readonly string[];

  constructor(url: URL, options: readonly string[]) {
    super({ keepAlive: true, maxFreeSockets: 8 });
    const port = url.port === "" ? [] : ["-p", url.port];
    const user = url.username === "" ? [] : ["-l", decodeURIComponent(url.username)];
    this.#argv = [...options, "-o", "BatchMode=yes", "-T", ...port, ...user, "--", url.hostname, "docker", "system", "dial-stdio"];
  }

  override createConnection(_options: object, callback?: (error: Error | null, stream: Duplex) => void): Duplex {
    const child = spawn("ssh", this.#argv, { stdio: ["pipe", "pipe", "pipe"] });
    let words = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => (words = (words + text).slice(-1000)));
    const stream = Duplex.from({ readable: child.stdout, writable: child.stdin });
    // What node:http sets on a socket; here there is none.
    Object.assign(stream, {
      setKeepAlive: () => stream,
      setNoDelay: () => stream,
      setTimeout: () => stream,
      ref: () => stream,
      unref: () => stream,
    });
    child.once("error", (error) => stream.destroy(error));
    child.once("exit", (code) => {
      if (code !== 0 && code !== null)
        stream.destroy(
          new SandboxerError(code === 255 ? "backend_auth" : "backend_unavailable", `ssh: ${words.trim() || `it ended with ${code}`}`, {
            phase: "connect",
          }),
        );
    });
    stream.once("close", () => void child.kill());
    callback?.(null, stream);
    return stream;
  }
}

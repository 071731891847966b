import { existsSync, rmSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import type { ChildProcess } from "node:child_process";
import { SandboxerError } from "../../../contract/index.ts";
import type { SshHost } from "./host.ts";

const LOOK_MS = 10;
const OPENS_WITHIN_MS = 20_000;

/**
 * A socket here that leads to one at the host, over one connection: whoever connects to it gets a channel, of which sshd limits no number
 * (MaxSessions counts sessions, not channels). A connection that broke is made again for the next one.
 */
export class SocketTunnel {
  readonly path: string;
  readonly #host: SshHost;
  readonly #remote: string;
  #child: ChildProcess | undefined;
  #opening: Promise<void> | undefined;

  constructor(host: SshHost, remote: string) {
    this.#host = host;
    this.#remote = remote;
    this.path = host.file("engine.sock");
  }

  /** A channel of its own. Where the connection has just broken, and its end is not known yet, by a new one. Throws `backend_auth`, `backend_unavailable`. */
  async channel(signal: AbortSignal): Promise<Socket> {
    await this.#open(signal);
    try {
      return await connected(this.path);
    } catch {
      this.#child?.kill();
      this.#child = undefined;
      await this.#open(signal);
      return await connected(this.path);
    }
  }

  #open(signal: AbortSignal): Promise<void> {
    if (this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null) return Promise.resolve();
    this.#opening ??= this.#connect(signal).finally(() => (this.#opening = undefined));
    return this.#opening;
  }

  async #connect(signal: AbortSignal): Promise<void> {
    rmSync(this.path, { force: true });
    const words = ["-N", "-o", "ExitOnForwardFailure=yes", "-o", "StreamLocalBindUnlink=yes", "-o", "StreamLocalBindMask=0177", "-L", `${this.path}:${this.#remote}`]; // prettier-ignore
    const child = await this.#host.spawn(words, [], signal);
    let said = "";
    child.stderr?.setEncoding("utf8").on("data", (text: string) => (said = (said + text).slice(-2000)));
    const ended = new Promise<void>((resolve) => {
      child.once("error", (error) => ((said += error.message), resolve()));
      child.once("exit", () => resolve());
    });
    let over = false;
    void ended.then(() => (over = true));
    for (const deadline = Date.now() + OPENS_WITHIN_MS; !existsSync(this.path); await sleep(LOOK_MS)) {
      if (over) throw await this.#host.explain(child.reached, said);
      if (Date.now() < deadline && !signal.aborted) continue;
      child.kill();
      throw new SandboxerError("backend_unavailable", `ssh to ${this.#host.label} did not come up in ${OPENS_WITHIN_MS / 1000} s`, {
        phase: "connect",
      });
    }
    child.unref();
    this.#child = child;
  }

  close(): void {
    this.#child?.kill();
    rmSync(this.path, { force: true });
  }
}

function connected(path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ path });
    socket.once("connect", () => {
      socket.off("error", reject);
      resolve(socket);
    });
    socket.once("error", reject);
  });
}

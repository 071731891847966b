import type { ChildProcess } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { SandboxerError } from "../../contract/index.ts";
import { companionSource } from "../shared/companion/companion.ts";
import type { SshHost } from "../shared/ssh/host.ts";
import type { Reachable } from "../shared/ssh/reach.ts";
import { Channel } from "./channel.ts";
import { type HostFrame, hostFrameHead, HostFrameReader, packWords, unpackWords } from "./wire.ts";

const SOURCES = ["ssh-sandboxes.pl", "ssh-work.pl", "ssh-host.pl"].map((name) =>
  fileURLToPath(new URL(`../../../native/${name}`, import.meta.url)),
);
let program: string | undefined;

/** Reads our program, the companion and the settings from standard input, each behind its length, and becomes the program. */
const BOOTSTRAP = `sub take{my($n,$b)=(shift,"");while(length($b)<$n){sysread(STDIN,$b,$n-length($b),length $b)or exit 1}$b}@S=map{take(unpack"N",take(4))}1..3;eval $S[0];die $@ if $@`;
/** Room for the words that a fork shows in place of these. */
const ROOM = "x".repeat(400);
const OPENS_WITHIN_MS = 30_000;
/** Of which the host wants one a minute. */
const SIGN_OF_LIFE_MS = 5000;

/** What a host says of itself. */
export interface HostFacts {
  readonly kernel: string;
  readonly machine: string;
  readonly processors: number;
  readonly memoryBytes: number;
}

/** One session of `ssh` with our program at its other end, and any number of channels over it. Never comes back once it broke. */
export class Connection {
  readonly #host: SshHost;
  readonly #child: ChildProcess & { readonly reached: Reachable };
  readonly #reader = new HostFrameReader();
  readonly #channels = new Map<number, Channel>();
  readonly #hello = Promise.withResolvers<HostFacts>();
  readonly #life: NodeJS.Timeout;
  #said = "";
  #number = 0;
  #failure: SandboxerError | undefined;
  #over = false;

  private constructor(host: SshHost, child: ChildProcess & { readonly reached: Reachable }) {
    this.#host = host;
    this.#child = child;
    this.#life = setInterval(() => void this.#write(0, "P", []).catch(() => undefined), SIGN_OF_LIFE_MS);
    this.#life.unref();
    this.#hello.promise.catch(() => undefined);
    child.stderr?.setEncoding("utf8").on("data", (text: string) => (this.#said = (this.#said + text).slice(-2000)));
    child.stdout?.on("data", (piece: Buffer) => this.#read(piece));
    child.stdin?.on("error", () => undefined);
    child.once("error", (error) => this.#break(new SandboxerError("provider_missing_dependency", `ssh cannot be started: ${error.message}`, { phase: "connect" }))); // prettier-ignore
    child.once("exit", () => (this.#over = true));
    child.once("close", (code) => void this.#ended(code));
  }

  /** @throws SandboxerError `backend_auth`, `backend_unavailable`, `backend_rejected` for a host without perl. */
  static async open(host: SshHost, settings: readonly string[]): Promise<Connection> {
    const child = await host.spawn([], [`exec /usr/bin/perl -e '${BOOTSTRAP}' ${ROOM}`], AbortSignal.timeout(OPENS_WITHIN_MS));
    const connection = new Connection(host, child);
    const clock = setTimeout(() => connection.#break(new SandboxerError("backend_unavailable", `ssh to ${host.label} did not come up in ${OPENS_WITHIN_MS / 1000} s`, { phase: "connect" })), OPENS_WITHIN_MS); // prettier-ignore
    try {
      program ??= SOURCES.map((path) => readFileSync(path, "utf8")).join("\n");
      connection.#child.stdin?.write(packWords([program, companionSource(), packWords(settings)]));
      await connection.#hello.promise;
      return connection;
    } catch (thrown) {
      connection.close();
      throw thrown;
    } finally {
      clearTimeout(clock);
    }
  }

  get isBroken(): boolean {
    return this.#over || this.#failure !== undefined;
  }

  facts(): Promise<HostFacts> {
    return this.#hello.promise;
  }

  /** Begins a piece of work there. Throws `backend_unavailable` where the connection has broken. */
  start(words: readonly (string | Uint8Array)[]): Channel {
    if (this.#failure !== undefined) throw this.#failure;
    const number = ++this.#number;
    const channel = new Channel(number, {
      send: (to, kind, pieces) => this.#write(to, kind, pieces),
      forget: (which) => this.#channels.delete(which),
    });
    this.#channels.set(number, channel);
    this.#write(number, "S", [packWords(words)]).catch(() => undefined);
    return channel;
  }

  close(): void {
    this.#break(new SandboxerError("backend_unavailable", "the connection was closed", { phase: "connect" }));
  }

  /** Resolves when ssh has it; until then no piece may change, since none is copied. */
  #write(channel: number, kind: "S" | "I" | "E" | "P", pieces: readonly Uint8Array[]): Promise<void> {
    const { stdin } = this.#child;
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined || stdin === null) return reject(this.#failure ?? new Error("ssh has no input"));
      const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
      const [last, ...before] = [hostFrameHead(channel, kind, length), ...pieces].reverse();
      stdin.cork();
      for (const piece of before.reverse()) stdin.write(piece);
      stdin.write(last, (error) => (error ? reject(error) : resolve()));
      stdin.uncork();
    });
  }

  #read(piece: Buffer): void {
    try {
      for (const frame of this.#reader.push(piece)) this.#take(frame);
    } catch (thrown) {
      this.#break(SandboxerError.from(thrown, { phase: "connect", backend: this.#host.backend }));
    }
  }

  #take({ channel, kind, body }: HostFrame): void {
    if (kind === "h") {
      const [kernel = "", machine = "", processors, memory] = unpackWords(body);
      return this.#hello.resolve({ kernel, machine, processors: Number(processors), memoryBytes: Number(memory) });
    }
    const to = this.#channels.get(channel);
    if (kind !== "x") return to?.push({ type: kind === "o" ? "stdout" : "stderr", data: body });
    this.#channels.delete(channel);
    to?.push({ type: "end", status: body.readUInt32BE(0) });
  }

  /** ssh ends with 255 by itself; any other status is the remote program's. */
  async #ended(code: number | null): Promise<void> {
    if (this.#failure !== undefined) return;
    const said = this.#said.trim().slice(-500);
    const failure =
      code === 255 || code === null
        ? await this.#host.explain(this.#child.reached, this.#said)
        : new SandboxerError(code === 127 ? "backend_rejected" : "backend_unavailable", `the program at ${this.#host.label} ended with ${code}${said === "" ? "" : `: ${said}`}`, { phase: "connect", ...(code === 127 ? { hint: "The host needs /usr/bin/perl, as every Debian and Ubuntu has it." } : {}) }); // prettier-ignore
    this.#break(failure);
  }

  #break(failure: SandboxerError): void {
    if (this.#failure !== undefined) return;
    this.#failure = failure;
    clearInterval(this.#life);
    this.#hello.reject(failure);
    for (const channel of this.#channels.values()) channel.fail(failure);
    this.#channels.clear();
    this.#child.kill();
  }
}

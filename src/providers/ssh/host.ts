import { ERROR_TABLE, type ErrorCode, SandboxerError } from "../../contract/index.ts";
import { throwIfAborted, whyAborted } from "../shared/abort.ts";
import { SshHost } from "../shared/ssh/host.ts";
import type { Channel } from "./channel.ts";
import { Connection } from "./connection.ts";
import type { Settings } from "./options.ts";
import { unpackWords } from "./wire.ts";

export interface Asking {
  readonly signal: AbortSignal;
  readonly phase: string;
}

/** Resolves as the promise does, or rejects when the signal aborts, whatever becomes of the promise. */
export async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  throwIfAborted(signal);
  const aborted = Promise.withResolvers<never>();
  const onAbort = (): void => aborted.reject(whyAborted(signal));
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([promise, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", onAbort);
    promise.catch(() => undefined);
  }
}

/** A host with our program on it: one connection for everything, made again where it broke. */
export class Host {
  readonly backend: string;
  readonly #ssh: SshHost;
  readonly #settings: readonly string[];
  #connection: Connection | undefined;
  #opening: Promise<Connection> | undefined;
  #closed = false;

  constructor({ ssh, root, firstUid, uids }: Settings, directory: string, { instance, backend }: { instance: string; backend: string }) {
    this.backend = backend;
    this.#ssh = new SshHost(ssh, directory, backend);
    // A name that is safe as one of a directory's.
    this.#settings = [root, instance.replaceAll(/[^a-zA-Z0-9_.-]/g, "-"), String(firstUid), String(uids)];
  }

  get label(): string {
    return this.#ssh.label;
  }

  /** One that stands; whoever asks while it is made shares it. Throws `backend_auth`, `backend_unavailable`. */
  async connection(signal: AbortSignal): Promise<Connection> {
    throwIfAborted(signal);
    if (this.#connection?.isBroken === false) return this.#connection;
    this.#opening ??= this.#open().finally(() => (this.#opening = undefined));
    return await unlessAborted(this.#opening, signal);
  }

  async #open(): Promise<Connection> {
    if (this.#closed) throw new SandboxerError("backend_unavailable", "the backend was closed", { phase: "connect" });
    const connection = await Connection.open(this.#ssh, this.#settings);
    if (this.#closed) connection.close();
    return (this.#connection = connection);
  }

  /** Begins a piece of work over the connection. */
  async start(words: readonly (string | Uint8Array)[], signal: AbortSignal): Promise<Channel> {
    return (await this.connection(signal)).start(words);
  }

  /**
   * Asks for one of the host's own works, and again by a new connection where that broke: each does no harm when it is done twice.
   *
   * @throws SandboxerError what the host says, `backend_auth`, `backend_unavailable`, and why the signal aborted.
   */
  async ask(words: readonly (string | Uint8Array)[], asking: Asking): Promise<string[]> {
    const connection = await this.connection(asking.signal);
    try {
      return await this.#askOnce(connection, words, asking);
    } catch (thrown) {
      if (!connection.isBroken || asking.signal.aborted) throw thrown;
      return await this.#askOnce(await this.connection(asking.signal), words, asking);
    }
  }

  async #askOnce(connection: Connection, words: readonly (string | Uint8Array)[], { signal, phase }: Asking): Promise<string[]> {
    const where = { phase, backend: this.backend };
    const channel = connection.start(words);
    const answered = (async (): Promise<string[]> => {
      const [answer, errors]: [Buffer[], Buffer[]] = [[], []];
      for await (const event of channel) {
        if (event.type === "stdout") answer.push(event.data);
        else if (event.type === "stderr") errors.push(event.data);
      }
      const [verdict, ...rest] = unpackWords(Buffer.concat(answer));
      if (verdict === "ok") return rest;
      if (verdict !== "error") {
        const said = Buffer.concat(errors).toString("utf8").trim().slice(-500);
        throw new SandboxerError("backend_unavailable", `${this.label}: ${phase} broke off there${said === "" ? "" : `: ${said}`}`);
      }
      const [code = "", text = ""] = rest;
      throw new SandboxerError(Object.hasOwn(ERROR_TABLE, code) ? (code as ErrorCode) : "internal", `${this.label}: ${text}`);
    })();
    try {
      return await unlessAborted(answered, signal);
    } catch (thrown) {
      throw SandboxerError.from(thrown, where);
    } finally {
      channel.leave();
    }
  }

  close(): void {
    this.#closed = true;
    this.#connection?.close();
  }
}

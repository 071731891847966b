import type { ProcessInfo, PtySize } from "../contract/exec.ts";
import { attachOverHttp } from "./attach-http.ts";
import { attachOverSocket } from "./attach-socket.ts";
import type { Attachment, AttachOptions } from "./attachment.ts";
import { toBytes, toStream } from "./bytes.ts";
import type { StdinStream } from "./command.ts";
import { readOutput, type OutputOptions, type ProcessOutput } from "./output.ts";
import { query, type Transport } from "./transport.ts";

const WAIT_SECONDS = 30;

/** A background process. It and its journal live in the sandbox, and outlive this handle and the server. */
export class Process {
  readonly sandboxId: string;
  readonly #transport: Transport;
  readonly #path: string;
  #info: ProcessInfo;

  constructor(transport: Transport, info: ProcessInfo) {
    this.#transport = transport;
    this.#info = info;
    this.sandboxId = info.sandbox_id;
    this.#path = `/v1/sandboxes/${encodeURIComponent(info.sandbox_id)}/processes/${encodeURIComponent(info.id)}`;
  }

  get id(): string {
    return this.#info.id;
  }

  /** As it was when last asked; `refresh` asks again. */
  get info(): ProcessInfo {
    return this.#info;
  }

  async refresh(): Promise<ProcessInfo> {
    this.#info = await this.#transport.json<ProcessInfo>({ method: "GET", path: this.#path });
    return this.#info;
  }

  /** Its journal from an offset, following until it ends unless told not to. */
  output(options: OutputOptions = {}): AsyncGenerator<ProcessOutput, void, undefined> {
    return readOutput(this.#transport, this.#path, options);
  }

  /** Resolves when it has ended, or after `timeoutMs` as it is then (look at `state`). Waits for ever unless given. */
  async wait(options: { timeoutMs?: number; signal?: AbortSignal } = {}): Promise<ProcessInfo> {
    const until = options.timeoutMs === undefined ? Infinity : Date.now() + options.timeoutMs;
    do {
      const seconds = Math.max(0, Math.min(WAIT_SECONDS, (until - Date.now()) / 1000));
      this.#info = await this.#transport.json<ProcessInfo>({
        method: "GET",
        path: `${this.#path}/wait${query({ timeout: seconds })}`,
        signal: options.signal,
      });
    } while (this.#info.state === "running" && Date.now() < until);
    return this.#info;
  }

  /** Sends a signal by name ("SIGTERM") to its whole tree. */
  async signal(name: string): Promise<void> {
    await this.#transport.done({ method: "POST", path: `${this.#path}/signal`, json: { signal: name } });
  }

  /** SIGKILL to its whole tree. */
  async kill(): Promise<void> {
    await this.signal("SIGKILL");
  }

  /** Writes to its standard input or terminal. Throws `wrong_state` where it has none or it was closed. */
  async write(data: string | Uint8Array | StdinStream): Promise<void> {
    const body =
      typeof data === "string" || data instanceof Uint8Array ? toBytes(data) : data instanceof ReadableStream ? data : toStream(data);
    await this.#transport.done({ method: "POST", path: `${this.#path}/stdin`, body: body as ReadableStream<Uint8Array<ArrayBuffer>> });
  }

  /** End of file on its standard input. */
  async closeStdin(): Promise<void> {
    await this.#transport.done({ method: "DELETE", path: `${this.#path}/stdin` });
  }

  /** Changes its terminal's size. */
  async resize(size: PtySize): Promise<void> {
    await this.#transport.done({ method: "POST", path: `${this.#path}/resize`, json: size });
  }

  /**
   * A live two-way connection: output from `offset` on (0 unless given), input, resizes and signals in the order they
   * were made. Over WebSocket where there is one, else over `fetch`. Detaching leaves the process running.
   */
  attach(options: AttachOptions = {}): Promise<Attachment> {
    const socket = this.#transport.settings.WebSocket;
    if (socket === undefined) return Promise.resolve(attachOverHttp(this, options));
    return attachOverSocket(socket, this.#transport.settings, `${this.#path}/ws${query({ offset: options.offset ?? 0 })}`);
  }
}

import type { FileEvent, FileInfo } from "../contract/files.ts";
import { SandboxerError } from "../contract/errors.ts";
import { pathToQuery } from "../contract/path.ts";
import { chunksOf, concat, toBytes, toStream, type Bytes } from "./bytes.ts";
import type { StdinStream } from "./command.ts";
import { failureIn, outcomeUnknown } from "./failure.ts";
import { serverEvents } from "./sse.ts";
import { query, type Transport } from "./transport.ts";

interface Cancelable {
  signal?: AbortSignal;
}

/** What can be written: text, bytes, a Blob, or a stream of bytes that is never held whole. */
export type FileContent = string | Uint8Array | Blob | StdinStream;

/** Files inside a sandbox. Relative paths start at the workspace; all happens inside the sandbox's confinement. */
export class Files {
  readonly #transport: Transport;
  readonly #path: string;

  constructor(transport: Transport, sandboxId: string) {
    this.#transport = transport;
    this.#path = `/v1/sandboxes/${encodeURIComponent(sandboxId)}/files`;
  }

  /** The whole file in memory. `length` bytes from `offset` on, where given. */
  async read(path: string, range: { offset?: number; length?: number } & Cancelable = {}): Promise<Uint8Array> {
    const chunks: Uint8Array[] = [];
    for await (const chunk of chunksOf(await this.readStream(path, range))) chunks.push(chunk);
    return concat(chunks);
  }

  /** The file as UTF-8 text. */
  async readText(path: string, options: Cancelable = {}): Promise<string> {
    return new TextDecoder().decode(await this.read(path, options));
  }

  /** The file as it comes; any size. Canceling the stream ends the transfer. */
  async readStream(path: string, range: { offset?: number; length?: number } & Cancelable = {}): Promise<ReadableStream<Uint8Array>> {
    const { offset, length, signal } = range;
    const { body } = await this.#transport.stream({
      method: "GET",
      path: this.#at("", path, { offset, length }),
      accept: "application/octet-stream",
      signal,
    });
    return body;
  }

  /** Replaces the file whole or not at all; parent directories are made. `mode` is octal text ("0644"). */
  async write(path: string, content: FileContent, options: { mode?: string } & Cancelable = {}): Promise<FileInfo> {
    const { mode, signal } = options;
    return this.#transport.json<FileInfo>({
      method: "PUT",
      path: this.#at("", path, { mode }),
      body: bodyOf(content),
      signal,
      unbounded: true,
    });
  }

  /** What is in a directory; `depth` levels deep, 1 unless given. */
  async list(path = ".", options: { depth?: number } = {}): Promise<FileInfo[]> {
    const { data } = await this.#transport.json<{ data: FileInfo[] }>({
      method: "GET",
      path: this.#at("/list", path, { depth: options.depth }),
    });
    return data;
  }

  /** Of the path itself: a symlink is not followed. Throws `file_not_found`. */
  async stat(path: string): Promise<FileInfo> {
    return this.#transport.json<FileInfo>({ method: "GET", path: this.#at("/stat", path) });
  }

  /** Whether something is there. Only a definite "no" is false; every other failure throws. */
  async exists(path: string): Promise<boolean> {
    try {
      await this.stat(path);
      return true;
    } catch (thrown) {
      if (thrown instanceof SandboxerError && thrown.code === "file_not_found") return false;
      throw thrown;
    }
  }

  /** Makes a directory; missing parents too unless `parents` is false. */
  async mkdir(path: string, options: { parents?: boolean; mode?: string } = {}): Promise<void> {
    await this.#transport.done({
      method: "POST",
      path: `${this.#path}/mkdir`,
      json: { path, parents: options.parents ?? true, ...(options.mode === undefined ? {} : { mode: options.mode }) },
    });
  }

  /** Moves; what stands at the new path is replaced only where `replace` says so. */
  async rename(from: string, to: string, options: { replace?: boolean } = {}): Promise<void> {
    await this.#transport.done({ method: "POST", path: `${this.#path}/rename`, json: { from, to, ...options } });
  }

  /** Removes a file or an empty directory; a full one with `recursive`. */
  async remove(path: string, options: { recursive?: boolean } = {}): Promise<void> {
    await this.#transport.done({ method: "DELETE", path: this.#at("", path, { recursive: options.recursive }) });
  }

  /** Sets permission bits, as octal text ("0755"). */
  async chmod(path: string, mode: string): Promise<void> {
    await this.#transport.done({ method: "POST", path: `${this.#path}/chmod`, json: { path, mode } });
  }

  /** Changes below a path, until the iteration is left or the signal aborts. `overflow` means events were lost: list again. */
  async *watch(path = ".", options: { recursive?: boolean } & Cancelable = {}): AsyncGenerator<FileEvent, void, undefined> {
    const { body } = await this.#transport.stream({
      method: "GET",
      path: this.#at("/watch", path, { recursive: options.recursive }),
      accept: "text/event-stream",
      signal: options.signal,
    });
    for await (const { event, data } of serverEvents(body)) {
      if (event === "error") throw failureIn((JSON.parse(data) as { error: { code: string; message: string } }).error);
      yield JSON.parse(data) as FileEvent;
    }
    throw outcomeUnknown("the watch");
  }

  /** A directory or file as an uncompressed tar, names relative to it. What is in it is the sandbox's word: unpack it as hostile input. */
  async download(path: string, options: Cancelable = {}): Promise<ReadableStream<Uint8Array>> {
    const { body } = await this.#transport.stream({
      method: "GET",
      path: this.#at("/tar", path),
      accept: "application/x-tar",
      signal: options.signal,
    });
    return body;
  }

  /** Unpacks an uncompressed tar into a directory, inside the sandbox, as its user. */
  async upload(path: string, tar: Uint8Array | Blob | StdinStream, options: Cancelable = {}): Promise<void> {
    await this.#transport.done({
      method: "PUT",
      path: this.#at("/tar", path),
      body: bodyOf(tar),
      type: "application/x-tar",
      signal: options.signal,
      unbounded: true,
    });
  }

  #at(verb: string, path: string, values: Record<string, string | number | boolean | undefined> = {}): string {
    return this.#path + verb + query(values, { path: pathToQuery(path) });
  }
}

/** Whatever is given, as a request takes it. */
export function bodyOf(content: FileContent): Bytes | ReadableStream<Bytes> {
  if (typeof content === "string" || content instanceof Uint8Array) return toBytes(content);
  if (content instanceof Blob) return content.stream();
  return content instanceof ReadableStream ? (content as ReadableStream<Bytes>) : toStream(content);
}

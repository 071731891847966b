import { Agent, type IncomingMessage, request, type RequestOptions } from "node:http";

/** A keep-alive HTTP client with nothing on top, so that what is measured is the server. */
export class HttpClient {
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 64 });
  readonly #to: RequestOptions;

  /** `url` for TCP with a key, or the path of a Unix socket. */
  constructor(to: { url: string; key: string } | { socket: string }) {
    this.#to =
      "socket" in to
        ? { socketPath: to.socket }
        : { host: new URL(to.url).hostname, port: new URL(to.url).port, headers: { authorization: `Bearer ${to.key}` } };
  }

  /** A JSON call. Throws for anything but a 2xx, with the server's own words. */
  async json<T>(method: string, path: string, body?: unknown): Promise<T> {
    const text = body === undefined ? undefined : JSON.stringify(body);
    const answer = await this.#send(method, path, text === undefined ? {} : { "content-type": "application/json" }, (sink) =>
      sink.end(text),
    );
    const chunks: Buffer[] = [];
    for await (const chunk of answer as AsyncIterable<Buffer>) chunks.push(chunk);
    const words = Buffer.concat(chunks).toString();
    if ((answer.statusCode ?? 500) >= 300) throw new Error(`${method} ${path}: ${answer.statusCode} ${words}`);
    return JSON.parse(words) as T;
  }

  /** Sends a body of so many bytes, as fast as it is taken. */
  async upload(path: string, bytes: number): Promise<void> {
    const answer = await this.#send(
      "PUT",
      path,
      { "content-type": "application/octet-stream", "content-length": String(bytes) },
      (sink) => {
        void feed(sink, bytes);
      },
    );
    await drained(answer, `PUT ${path}`);
  }

  /** Bytes of a body that was read to its end. */
  async download(path: string): Promise<number> {
    const answer = await this.#send("GET", path, {}, (sink) => sink.end());
    return drained(answer, `GET ${path}`);
  }

  close(): void {
    this.#agent.destroy();
  }

  #send(
    method: string,
    path: string,
    headers: Record<string, string>,
    fill: (sink: ReturnType<typeof request>) => void,
  ): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const sink = request(
        { ...this.#to, agent: this.#agent, method, path, headers: { ...(this.#to.headers as object), ...headers } },
        resolve,
      );
      sink.on("error", reject);
      fill(sink);
    });
  }
}

const PIECE = Buffer.alloc(256 * 1024, "sand-boxer throughput ");

/** Writes so many bytes and ends the stream; goes no faster than the reader. Stops where the other side went away. */
export async function feed(sink: NodeJS.WritableStream & { destroyed?: boolean }, bytes: number): Promise<void> {
  for (let left = bytes; left > 0 && sink.destroyed !== true; left -= PIECE.length) {
    if (!sink.write(left < PIECE.length ? PIECE.subarray(0, left) : PIECE)) {
      await new Promise<void>((resolve) => {
        const go = (): void => {
          sink.off("drain", go);
          sink.off("close", go);
          resolve();
        };
        sink.on("drain", go);
        sink.on("close", go);
      });
    }
  }
  sink.end();
}

async function drained(answer: IncomingMessage, what: string): Promise<number> {
  let bytes = 0;
  let words = "";
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if ((answer.statusCode ?? 500) >= 300) words += chunk.toString();
  }
  if ((answer.statusCode ?? 500) >= 300) throw new Error(`${what}: ${answer.statusCode} ${words}`);
  return bytes;
}

/**
 * `Request` and `Response` of plain values, for calls that do not leave this machine. Node loads its own with a whole HTTP
 * client behind them when either is first touched, and that takes longer than Node's start. Typed as the real ones, since
 * routers and clients ask for those; what is named here is all there is.
 */

type Headers = Readonly<Record<string, string>>;

export interface PlainInit {
  readonly method: string;
  /** By names in lower case. */
  readonly headers: Headers;
  readonly body?: string | Uint8Array | ReadableStream<Uint8Array>;
  readonly signal: AbortSignal;
}

/** Has `url`, `method`, `headers.get`, `body` and `signal`. */
export function plainRequest(url: string, { method, headers, body, signal }: PlainInit): Request {
  return { url, method, headers: new PlainHeaders(headers), body: streamOf(body), signal } as unknown as Request;
}

/** Has `status`, `ok`, `headers.get`, the headers' iterator, `body`, `text` and `json`. Header names are in lower case. */
export function plainResponse(body: string | ReadableStream<Uint8Array> | null, status: number, headers: Headers): Response {
  return new PlainResponse(body, status, new PlainHeaders(headers)) as unknown as Response;
}

class PlainHeaders {
  readonly #values: Headers;

  constructor(values: Headers) {
    this.#values = values;
  }

  get(name: string): string | null {
    const key = name.toLowerCase();
    return Object.hasOwn(this.#values, key) ? (this.#values[key] ?? null) : null;
  }

  [Symbol.iterator](): IterableIterator<[string, string]> {
    return Object.entries(this.#values).values();
  }
}

class PlainResponse {
  readonly status: number;
  readonly headers: PlainHeaders;
  readonly #content: string | ReadableStream<Uint8Array> | null;
  #stream: ReadableStream<Uint8Array> | null | undefined;

  constructor(content: string | ReadableStream<Uint8Array> | null, status: number, headers: PlainHeaders) {
    this.#content = content;
    this.status = status;
    this.headers = headers;
  }

  get ok(): boolean {
    return this.status >= 200 && this.status < 300;
  }

  get body(): ReadableStream<Uint8Array> | null {
    return (this.#stream ??= streamOf(this.#content));
  }

  async text(): Promise<string> {
    if (this.#content === null || typeof this.#content === "string") return this.#content ?? "";
    const decoder = new TextDecoder();
    let text = "";
    for await (const piece of this.#content) text += decoder.decode(piece, { stream: true });
    return text + decoder.decode();
  }

  async json(): Promise<unknown> {
    return JSON.parse(await this.text()) as unknown;
  }
}

function streamOf(body: string | Uint8Array | ReadableStream<Uint8Array> | null | undefined): ReadableStream<Uint8Array> | null {
  if (body === null || body === undefined) return null;
  if (typeof body !== "string" && !(body instanceof Uint8Array)) return body;
  return new ReadableStream({
    start(controller) {
      controller.enqueue(typeof body === "string" ? new TextEncoder().encode(body) : body);
      controller.close();
    },
  });
}

/** Where and as whom the client talks. Everything has a default. */
export interface SandBoxerOptions {
  /** Address of a sand-boxer server. `SANDBOXER_URL` of the environment, else `http://127.0.0.1:8420`. */
  url?: string;
  /** A key made with `sand-boxer keys create`. `SANDBOXER_API_KEY` of the environment unless given; "" sends none. */
  apiKey?: string;
  /** Replaces the runtime's `fetch`: another transport, a proxy, or a server in the same process. */
  fetch?: FetchFunction;
  /** Replaces the runtime's `WebSocket`; false never uses one, and attaching then goes over `fetch`. */
  WebSocket?: WebSocketConstructor | false;
  /** How long to wait for an answer to begin, in milliseconds. 120 000 unless given; 0 waits for ever. */
  timeoutMs?: number;
}

/** The part of `fetch` that the client needs. */
export type FetchFunction = (url: string, init: FetchInit) => Promise<Response>;

/** What the client passes to `fetch`. `duplex` is asked for by runtimes that stream request bodies. */
export interface FetchInit {
  method: string;
  headers: Record<string, string>;
  body?: string | Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array<ArrayBuffer>>;
  duplex?: "half";
  signal: AbortSignal;
}

/** The part of the WebSocket interface that the client needs; the browser's, Node's and the `ws` package's all fit. */
export type WebSocketConstructor = new (url: string, protocols: string[]) => WebSocketLike;

export interface WebSocketLike {
  binaryType: string;
  readonly bufferedAmount: number;
  send(data: string | Uint8Array<ArrayBuffer>): void;
  close(code?: number): void;
  addEventListener(type: "open" | "error" | "close", listener: () => void): void;
  addEventListener(type: "message", listener: (event: { data: unknown }) => void): void;
}

/** The options with every default filled in. */
export interface Settings {
  readonly url: string;
  readonly apiKey: string | undefined;
  readonly fetch: FetchFunction;
  readonly WebSocket: WebSocketConstructor | undefined;
  readonly timeoutMs: number;
}

const DEFAULT_URL = "http://127.0.0.1:8420";
const DEFAULT_TIMEOUT_MS = 120_000;

/** Reads the environment where the runtime has one; browsers and Workers do not. */
export function settle(options: SandBoxerOptions): Settings {
  const environment = (globalThis as { process?: { env?: Record<string, string | undefined> } }).process?.env ?? {};
  const socket = options.WebSocket ?? (globalThis as { WebSocket?: WebSocketConstructor }).WebSocket;
  return {
    url: (options.url ?? (environment["SANDBOXER_URL"] || DEFAULT_URL)).replace(/\/+$/, ""),
    apiKey: (options.apiKey ?? environment["SANDBOXER_API_KEY"]) || undefined,
    // Called through the global each time: some runtimes refuse a detached fetch.
    fetch: options.fetch ?? ((url, init) => globalThis.fetch(url, init)),
    WebSocket: socket === false ? undefined : socket,
    timeoutMs: options.timeoutMs ?? DEFAULT_TIMEOUT_MS,
  };
}

import { SandboxerError } from "../contract/errors.ts";
import type { Bytes } from "./bytes.ts";
import { failureOf, unreachable } from "./failure.ts";
import type { FetchInit, Settings } from "./options.ts";

/** One call of the API. */
export interface Call {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** Path and query below the server's address, already escaped. */
  readonly path: string;
  readonly json?: unknown;
  readonly body?: string | Bytes | ReadableStream<Bytes>;
  readonly type?: string;
  readonly accept?: string;
  readonly headers?: Record<string, string>;
  readonly signal?: AbortSignal | undefined;
  /** May be sent again after a failure. GETs may; others only where repeating cannot do the work twice. */
  readonly repeatable?: boolean;
  /** The answer begins only when the request's body ends, or nobody knows when. */
  readonly unbounded?: boolean;
}

const ATTEMPTS = 4;
const FIRST_DELAY_MS = 200;
/** A server that asks for more patience than this gets its error passed on to the caller instead. */
const LONGEST_DELAY_MS = 20_000;

/** Sends calls: authorization, the time limit until an answer begins, typed errors, and bounded retries of what is safe to repeat. */
export class Transport {
  readonly settings: Settings;

  constructor(settings: Settings) {
    this.settings = settings;
  }

  /** A 2xx answer, or throws SandboxerError. */
  async send(call: Call): Promise<Response> {
    const repeatable = call.repeatable ?? call.method === "GET";
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#once(call);
      } catch (thrown) {
        const error = SandboxerError.from(thrown);
        const delay = repeatable && attempt < ATTEMPTS ? delayBefore(error, attempt) : undefined;
        if (delay === undefined) throw error;
        await sleep(delay, call.signal);
      }
    }
  }

  /** The answer's JSON document. */
  async json<T>(call: Call): Promise<T> {
    const response = await this.send(call);
    try {
      return (await response.json()) as T;
    } catch (cause) {
      throw new SandboxerError("internal", `the answer to ${call.method} ${call.path} broke off or is not JSON`, { cause });
    }
  }

  /** For calls that answer nothing. */
  async done(call: Call): Promise<void> {
    const response = await this.send(call);
    await response.body?.cancel();
  }

  /** The answer's body as it comes. */
  async stream(call: Call): Promise<{ response: Response; body: ReadableStream<Uint8Array> }> {
    const response = await this.send(call);
    if (response.body === null) throw new SandboxerError("internal", `the answer to ${call.method} ${call.path} has no body`);
    return { response, body: response.body };
  }

  async #once(call: Call): Promise<Response> {
    const { fetch, url, apiKey, timeoutMs } = this.settings;
    const address = url + call.path;
    const late = new AbortController();
    const timer = call.unbounded === true || timeoutMs === 0 ? undefined : setTimeout(() => late.abort(), timeoutMs);
    const init: FetchInit = {
      method: call.method,
      headers: { accept: call.accept ?? "application/json", ...call.headers },
      signal: call.signal === undefined ? late.signal : AbortSignal.any([late.signal, call.signal]),
    };
    if (apiKey !== undefined) init.headers["authorization"] = `Bearer ${apiKey}`;
    if (call.json !== undefined) {
      init.headers["content-type"] = "application/json";
      init.body = JSON.stringify(call.json);
    } else if (call.body !== undefined) {
      init.headers["content-type"] = call.type ?? "application/octet-stream";
      init.body = call.body;
      if (call.body instanceof ReadableStream) init.duplex = "half";
    }
    let response: Response;
    try {
      response = await fetch(address, init);
    } catch (thrown) {
      if (thrown instanceof SandboxerError) throw thrown;
      if (call.signal?.aborted === true) throw new SandboxerError("canceled", "the operation was canceled", { cause: thrown });
      if (late.signal.aborted) {
        throw new SandboxerError("timeout", `no answer to ${call.method} ${call.path} within ${timeoutMs} ms`, {
          hint: "Give the client a longer timeoutMs, or find out what holds the server up.",
          cause: thrown,
        });
      }
      throw unreachable(address, thrown);
    } finally {
      clearTimeout(timer);
    }
    if (!response.ok) throw await failureOf(response);
    return response;
  }
}

/** Milliseconds until the next attempt, or undefined where another would not help. */
function delayBefore(error: SandboxerError, attempt: number): number | undefined {
  if (!error.retryable || error.code === "timeout") return undefined;
  const { retry_after: asked } = error.details;
  // A quota frees when sandboxes end, not by asking again; a server that knows better says when.
  if (asked === undefined && error.code === "quota_exceeded") return undefined;
  const delay = asked === undefined ? FIRST_DELAY_MS * 2 ** (attempt - 1) * (0.5 + Math.random()) : asked * 1000;
  return delay <= LONGEST_DELAY_MS ? delay : undefined;
}

/** Resolves after the time, or rejects as `canceled` when the signal aborts. */
export function sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(new SandboxerError("canceled", "the operation was canceled"));
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, milliseconds);
    if (signal?.aborted === true) stop();
    else signal?.addEventListener("abort", stop, { once: true });
  });
}

/** `?a=1&b=2` from what is given; empty where nothing is. Values that are already escaped go in `raw`. */
export function query(values: Record<string, string | number | boolean | undefined>, raw: Record<string, string> = {}): string {
  const parts = Object.entries(raw).map(([key, value]) => `${key}=${value}`);
  for (const [key, value] of Object.entries(values)) {
    if (value !== undefined) parts.push(`${encodeURIComponent(key)}=${encodeURIComponent(String(value))}`);
  }
  return parts.length === 0 ? "" : `?${parts.join("&")}`;
}

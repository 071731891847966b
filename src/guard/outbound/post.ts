import { lookup as systemLookup } from "node:dns";
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage, type RequestOptions } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import { isIP, type LookupFunction } from "node:net";
import { networkInterfaces } from "node:os";
import { SandboxerError } from "../../contract/index.ts";
import { classifyAddress, type Range, rangeHas, readRange } from "../egress/policy/address.ts";

/** Of an answer's body, which nobody reads: more, and the connection is closed instead of kept. */
const MAX_BODY_BYTES = 64 * 1024;

export interface OutboundOptions {
  /** Addresses and ranges beside the public ones. */
  readonly allow: readonly string[];
  /** Whether every address may be reached, this host's own too. */
  readonly anywhere: boolean;
}

/** What came back: the status, and what `Retry-After` asks for in milliseconds. */
export interface Answer {
  readonly status: number;
  readonly retryAfterMs: number | null;
}

/** Refused before a connection was made: by where it would go. */
export class Forbidden extends Error {}

/**
 * Sends to addresses that others name. A name is resolved once for each connection, every address that it has must be allowed, and
 * one of these is dialled: a name that answers differently the second time gains nothing. Redirects are not followed. Connections are
 * kept and shared by all that go through the same object, so each object has one rule.
 */
export class Outbound {
  readonly #ranges: readonly Range[];
  readonly #anywhere: boolean;
  readonly #http = new HttpAgent({ keepAlive: true, maxSockets: 64, maxFreeSockets: 16 });
  readonly #https = new HttpsAgent({ keepAlive: true, maxSockets: 64, maxFreeSockets: 16 });

  /** @throws SandboxerError `invalid_request` for a range that is none. */
  constructor({ allow, anywhere }: OutboundOptions) {
    this.#anywhere = anywhere;
    this.#ranges = allow.map((text) => {
      const range = readRange(text);
      if (typeof range !== "string") return range;
      throw new SandboxerError("invalid_request", `webhooks.allow: "${text}" ${range}`, {
        issues: [{ path: "webhooks.allow", message: range }],
      });
    });
  }

  /** Why the address may not be dialled; null where it may. */
  fault(address: string): string | null {
    if (this.#anywhere) return null;
    if (isIP(address) === 4 && this.#ranges.some((range) => rangeHas(range, address))) return null;
    const { kind, name } = classifyAddress(address);
    if (kind !== "public") return `${address} is ${name}`;
    const own = Object.values(networkInterfaces()).some((list) => list?.some((one) => one.address === address));
    return own ? `${address} is this host's own` : null;
  }

  /**
   * Posts, and resolves with the answer's head.
   *
   * @throws Forbidden where no connection may be made, Error with a code where none could be, or no answer came before the signal.
   */
  async post(url: URL, headers: Readonly<Record<string, string>>, body: string, signal: AbortSignal): Promise<Answer> {
    const host = url.hostname.replace(/^\[|\]$/g, "");
    const fault = isIP(host) === 0 ? null : this.fault(host);
    if (fault !== null) throw new Forbidden(`${fault}, and may not be reached`);
    const secure = url.protocol === "https:";
    const options: RequestOptions = {
      method: "POST",
      headers: { ...headers, "content-length": String(Buffer.byteLength(body)) },
      agent: secure ? this.#https : this.#http,
      lookup: this.#lookup,
      signal,
    };
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const asked = secure ? httpsRequest(url, options, resolve) : httpRequest(url, options, resolve);
      asked.once("error", reject);
      asked.end(body);
    });
    drain(response);
    return { status: response.statusCode ?? 0, retryAfterMs: retryAfter(response.headers["retry-after"]) };
  }

  readonly #lookup: LookupFunction = (hostname, options, done) => {
    systemLookup(hostname, { ...options, all: true }, (error, addresses) => {
      if (error !== null) return done(error, []);
      for (const { address } of addresses) {
        const fault = this.fault(address);
        if (fault !== null) return done(new Forbidden(`${hostname} is at ${address}: ${fault}, and may not be reached`), []);
      }
      if (options.all === true) return done(null, addresses);
      const [first] = addresses;
      return first === undefined ? done(new Error(`${hostname} has no address`), []) : done(null, first.address, first.family);
    });
  };

  /** Closes the connections that are kept. */
  close(): void {
    this.#http.destroy();
    this.#https.destroy();
  }
}

/** Reads on to the end so that the connection can be used again, unless there is too much of it. */
function drain(response: IncomingMessage): void {
  let seen = 0;
  response.on("error", () => {});
  response.on("data", (chunk: Buffer) => {
    seen += chunk.byteLength;
    if (seen > MAX_BODY_BYTES) response.destroy();
  });
}

/** Seconds or a date, as RFC 9110 has it. */
function retryAfter(text: string | undefined): number | null {
  if (text === undefined) return null;
  const ms = /^\d{1,9}$/.test(text) ? Number(text) * 1000 : Date.parse(text) - Date.now();
  return Number.isFinite(ms) && ms > 0 ? ms : null;
}

import type { Socket } from "node:net";
import type { Client } from "undici";
import type { Target } from "./types.ts";

/** Kept open to one origin while nobody asks, and for how long; servers close theirs after some 5 s at the least. */
export const MAX_FREE = 32;
export const FREE_MS = 4000;
/** To one origin at once; requests beyond wait for one. A client can write down thousands of requests in one packet. */
export const MAX_SOCKETS = 512;

/** A connection to an origin, with nothing on it. */
export interface Kept {
  readonly client: Client;
  readonly socket: Socket;
  readonly address: string | null;
  /** It has carried a request before: its server may have closed it meanwhile. */
  used: boolean;
}

interface Origin {
  readonly free: Kept[];
  readonly waiting: PromiseWithResolvers<void>[];
  open: number;
}

/**
 * Connections that each carry one request at a time, by where they lead. An address is checked and dialled for each new one, by `open`; a client
 * of undici's never dials by itself, so no name is looked up a second time.
 */
export class Connections {
  readonly #open: (scheme: "http" | "https", target: Target) => Promise<Socket>;
  readonly #origins = new Map<string, Origin>();
  readonly #all = new Set<Kept>();
  #closed = false;

  constructor(open: (scheme: "http" | "https", target: Target) => Promise<Socket>) {
    this.#open = open;
  }

  /** The one that was used last, or a new one. Whoever takes it gives it back. */
  async take(scheme: "http" | "https", target: Target): Promise<Kept> {
    const key = `${scheme}://${target.host}:${target.port}`;
    for (;;) {
      const origin = this.#origins.get(key) ?? this.#begin(key);
      for (let kept = origin.free.pop(); kept !== undefined; kept = origin.free.pop()) if (!kept.socket.destroyed) return kept;
      if (origin.open < MAX_SOCKETS) return this.#connect(key, origin, scheme, target);
      const turn = Promise.withResolvers<void>();
      origin.waiting.push(turn);
      await turn.promise;
    }
  }

  /** When nothing more comes over it. */
  give(scheme: "http" | "https", { host, port }: Target, kept: Kept): void {
    const origin = this.#origins.get(`${scheme}://${host}:${port}`);
    // A server that wants no further request has had its connection ended before this.
    if (origin === undefined || kept.socket.destroyed) return;
    kept.used = true;
    if (origin.free.length >= MAX_FREE && origin.waiting.length === 0) return void kept.client.destroy().catch(() => {});
    origin.free.push(kept);
    origin.waiting.shift()?.resolve();
  }

  close(): void {
    this.#closed = true;
    for (const { client } of this.#all) client.destroy().catch(() => {});
    for (const { waiting } of this.#origins.values()) for (const turn of waiting.splice(0)) turn.reject(new Error("the sandbox has ended"));
  }

  #begin(key: string): Origin {
    const origin: Origin = { free: [], waiting: [], open: 0 };
    this.#origins.set(key, origin);
    return origin;
  }

  async #connect(key: string, origin: Origin, scheme: "http" | "https", target: Target): Promise<Kept> {
    origin.open += 1;
    const left = (): void => {
      origin.open -= 1;
      origin.waiting.shift()?.resolve();
      // Hosts are as many as a sandbox can think of.
      if (origin.open === 0 && origin.waiting.length === 0) this.#origins.delete(key);
    };
    try {
      // Loaded with the first request that needs it.
      const [{ Client }, socket] = await Promise.all([import("undici"), this.#open(scheme, target)]);
      if (this.#closed) {
        socket.destroy();
        throw new Error("the sandbox has ended");
      }
      let handed = false;
      const client = new Client("http://origin", {
        connect: (_, done) =>
          queueMicrotask(() => {
            if (handed || socket.destroyed)
              return done(Object.assign(new Error("the connection has closed"), { code: "ECONNRESET" }), null);
            handed = true;
            done(null, socket);
          }),
        keepAliveTimeout: FREE_MS,
        keepAliveMaxTimeout: FREE_MS,
        // How long a server may think is the policy's idle limit, nothing of ours.
        headersTimeout: 0,
        bodyTimeout: 0,
      });
      const kept: Kept = { client, socket, address: socket.remoteAddress ?? null, used: false };
      this.#all.add(kept);
      socket.once("close", () => {
        this.#all.delete(kept);
        const at = origin.free.indexOf(kept);
        if (at !== -1) origin.free.splice(at, 1);
        client.destroy().catch(() => {});
        left();
      });
      return kept;
    } catch (thrown) {
      left();
      throw thrown;
    }
  }
}

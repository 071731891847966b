import { Agent, type ClientRequest } from "node:http";
import type { Duplex } from "node:stream";
import type { PortConnection } from "../../engine/publication.ts";

/** Opens a connection to a port. */
export type Open = () => Promise<PortConnection>;

/** Kept open without a request: short, as each may be a process inside, and programs close idle ones at about 5 s themselves. */
const IDLE_MS = 4000;
/** At once to one port; further requests wait for their turn. */
const MOST = 256;

/**
 * Connections to ports that one request after the other goes over: opening one costs up to a command inside. Node's agent does the
 * keeping; here it learns to live with streams that are no sockets.
 */
export class PortPool extends Agent {
  readonly #active = new WeakMap<Duplex, () => void>();
  readonly #clocks = new WeakMap<Duplex, NodeJS.Timeout>();

  constructor() {
    super({ keepAlive: true, maxFreeSockets: 16, maxSockets: MOST });
  }

  /** What says of a request's connection that something moved. */
  activeOf(request: ClientRequest): () => void {
    return (request.socket === null ? undefined : this.#active.get(request.socket)) ?? (() => {});
  }

  override getName(options?: { host?: string | null | undefined }): string {
    return options?.host ?? "";
  }

  override createConnection(options: object, connected?: (error: Error | null, stream: Duplex) => void): undefined {
    const { open } = options as { open: Open };
    open().then(
      ({ stream, active }) => {
        this.#active.set(stream, active);
        connected?.(null, stream);
      },
      (thrown: unknown) => connected?.(thrown instanceof Error ? thrown : new Error(String(thrown)), undefined as never),
    );
    return undefined;
  }

  override keepSocketAlive(stream: Duplex): boolean {
    if (stream.destroyed || !stream.writable) return false;
    this.#clocks.set(stream, setTimeout(() => stream.destroy(), IDLE_MS).unref());
    return true;
  }

  override reuseSocket(stream: Duplex, request: ClientRequest): void {
    clearTimeout(this.#clocks.get(stream));
    // What Node does for a kept connection asks this of it; a stream that is no socket holds no process anyway.
    if (!("ref" in stream)) Object.assign(stream, { ref: () => stream });
    super.reuseSocket(stream, request);
  }
}

import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { type ErrorCode, type ErrorDetails, SandboxerError } from "../../../contract/index.ts";
import { boundaryDirectory, logPath, socketPath, writeConfig } from "./place.ts";
import { startBoundary } from "./start.ts";
import { type BoundaryConfig, readLines, type Request, writeLine } from "./wire.ts";

/** How long a process that was started may take until it answers; with a thousand sandboxes it has to listen for all of them first. Milliseconds. */
const START_MS = 30_000;
const LOOK_MS = 25;
/** How often another start is tried: one that met the lock of a process just ending, or of a killed one's helper, has ended itself within a few ms. */
const RETRY_MS = 250;

interface Pending {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: SandboxerError) => void;
}

type Ask = Request extends infer One ? (One extends unknown ? Omit<One, "id"> : never) : never;

/** The connection to the boundary's process. Starts that where it does not run, at first and whenever it has died. */
export class Link {
  readonly #dataDirectory: string;
  /** Null when it has been said once: of two callers who differ the last to come decides, and neither goes back to its own. */
  #config: BoundaryConfig | null;
  readonly #closed: Set<string>;
  readonly #pending = new Map<number, Pending>();
  #socket: Promise<Socket> | undefined;
  #next = 1;
  #done = false;

  constructor(dataDirectory: string, config: BoundaryConfig, closed: readonly string[]) {
    this.#dataDirectory = dataDirectory;
    this.#config = config;
    this.#closed = new Set(closed);
  }

  /** @throws SandboxerError what the boundary answers; `backend_unavailable` where it does not. */
  async ask(request: Ask): Promise<unknown> {
    if (this.#done) throw unavailable("the connection to it was closed");
    const opening = (this.#socket ??= this.#open());
    const socket = await opening.catch((thrown: unknown) => {
      if (this.#socket === opening) this.#socket = undefined;
      throw thrown;
    });
    return this.#send(socket, request);
  }

  /** Closes further addresses to all sandboxes; every process that is started later is told of them as well. */
  async protect(addresses: readonly string[]): Promise<void> {
    for (const address of addresses) this.#closed.add(address);
    await this.ask({ verb: "hello", config: null, closed: [...this.#closed] });
  }

  async close(): Promise<void> {
    this.#done = true;
    const socket = await this.#socket?.catch(() => undefined);
    socket?.destroy();
  }

  #send(socket: Socket, request: Ask): Promise<unknown> {
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      if (socket.destroyed) return reject(unavailable("it has just ended"));
      this.#pending.set(id, { resolve, reject });
      // A process that only waits for sandboxes to end is not kept alive by this.
      socket.ref();
      writeLine(socket, { id, ...request });
    });
  }

  async #open(): Promise<Socket> {
    const until = performance.now() + START_MS;
    let startAt = 0;
    while (performance.now() < until) {
      const socket = await this.#try();
      if (socket !== undefined) {
        const { restarts } = (await this.#send(socket, { verb: "hello", config: this.#config, closed: [...this.#closed] })) as {
          restarts: boolean;
        };
        if (!restarts) {
          this.#config = null;
          return socket;
        }
        socket.destroy();
      } else if (performance.now() >= startAt) {
        startAt = performance.now() + RETRY_MS;
        if (this.#config !== null) writeConfig(boundaryDirectory(this.#dataDirectory), this.#config);
        startBoundary(this.#dataDirectory);
      }
      await sleep(LOOK_MS);
    }
    throw unavailable(`it does not answer; see ${logPath(this.#dataDirectory)}`);
  }

  #try(): Promise<Socket | undefined> {
    return new Promise((resolve, reject) => {
      const socket = connect(socketPath(this.#dataDirectory));
      socket.once("connect", () => {
        socket.off("error", failed).on("error", () => {});
        socket.once("close", () => this.#lost(socket));
        readLines(socket, (value) => this.#answered(socket, value as Answer));
        resolve(socket);
      });
      const failed = (error: NodeJS.ErrnoException): void => {
        if (error.code === "ENOENT" || error.code === "ECONNREFUSED") resolve(undefined);
        else reject(unavailable(`its socket cannot be opened (${error.code ?? error.message})`));
      };
      socket.once("error", failed);
    });
  }

  #answered(socket: Socket, { id, result, error }: Answer): void {
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    if (this.#pending.size === 0) socket.unref();
    if (error === undefined) pending?.resolve(result);
    else pending?.reject(new SandboxerError(error.code, error.message, error.details));
  }

  #lost(socket: Socket): void {
    for (const { reject } of this.#pending.values()) reject(unavailable("it ended before it answered"));
    this.#pending.clear();
    void this.#socket?.then(
      (current) => {
        if (current !== socket) return;
        this.#socket = undefined;
        // The sandboxes have no way out until it is back.
        if (!this.#done) this.ask({ verb: "sessions" }).catch(() => {});
      },
      () => {},
    );
  }
}

interface Answer {
  readonly id: number;
  readonly result?: unknown;
  readonly error?: { readonly code: ErrorCode; readonly message: string; readonly details: ErrorDetails };
}

function unavailable(why: string): SandboxerError {
  return new SandboxerError("backend_unavailable", `the boundary's process is not to be had: ${why}`, { phase: "network" });
}

import { chmodSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { SandboxerError } from "../../../contract/index.ts";
import type { Journal } from "../journal/journal.ts";
import type { Sessions } from "../session/sessions.ts";
import { readLines, type Request, writeLine } from "./wire.ts";

export interface ControlOptions {
  readonly path: string;
  readonly sessions: Sessions;
  readonly journal: Journal;
  /** Whether the process was started with what a caller wants; it says so and ends where not, and the caller starts another. */
  readonly hello: (request: Extract<Request, { verb: "hello" }>) => { readonly restarts: boolean };
}

/** The control socket: whoever can open it, which is its owner, may ask everything. */
export class Control {
  readonly #options: ControlOptions;
  readonly #callers = new Set<Socket>();
  readonly #server: Server;

  constructor(options: ControlOptions) {
    this.#options = options;
    this.#server = createServer((socket) => {
      this.#callers.add(socket);
      socket.on("error", () => {});
      socket.once("close", () => this.#callers.delete(socket));
      readLines(socket, (value) => void this.#answer(socket, value as Request));
    });
  }

  get callers(): number {
    return this.#callers.size;
  }

  /** The path must be below a directory that nobody else may enter: until the chmod the socket has the mask's mode. */
  async listen(): Promise<void> {
    const { path } = this.#options;
    rmSync(path, { force: true });
    await new Promise<void>((resolve, reject) => this.#server.once("error", reject).listen(path, resolve));
    chmodSync(path, 0o600);
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#callers) socket.destroySoon();
  }

  async #answer(socket: Socket, request: Request): Promise<void> {
    try {
      writeLine(socket, { id: request.id, result: await this.#do(request) });
    } catch (thrown) {
      const error =
        thrown instanceof SandboxerError
          ? thrown
          : new SandboxerError("internal", `the boundary failed: ${String(thrown)}`, { phase: "network" });
      writeLine(socket, {
        id: request.id,
        error: { code: error.code, message: error.message, details: { ...error.details, cause: undefined } },
      });
    }
  }

  #do(request: Request): unknown {
    const { sessions, journal, hello } = this.#options;
    switch (request.verb) {
      case "prepare":
        return sessions.prepare(request.session);
      case "attach":
        return sessions.attach(request.sandbox, request.namespace);
      case "update":
        return sessions.update(request.sandbox, request.policy);
      case "review":
        return sessions.review(request.sandbox, request.policy);
      case "secrets":
        return sessions.secrets(request.sandbox, request.secrets);
      case "remove":
        return sessions.remove(request.sandbox);
      case "traffic":
        return sessions.traffic(request.sandbox);
      case "sessions":
        return sessions.list();
      case "verdicts":
        return journal.read(request.cursor, request.limit);
      case "hello":
        return hello(request);
    }
    // A caller of another version.
    throw new SandboxerError("invalid_request", "the boundary has no such verb");
  }
}

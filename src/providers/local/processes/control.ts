import { closeSync, constants, openSync } from "node:fs";
import { createConnection, type Socket } from "node:net";
import { SandboxerError } from "../../../contract/index.ts";

/** The way to a process's shim: frames of a letter, a big-endian u32 length and a body. */

/** A shim takes no larger frame. */
const LARGEST_BODY = 1024 * 1024;

export type Frame =
  | { readonly kind: "I"; readonly body: Uint8Array }
  | { readonly kind: "E" }
  | { readonly kind: "R"; readonly cols: number; readonly rows: number };

function encode(frame: Frame): Buffer[] {
  const framed = (kind: string, body: Uint8Array): Buffer => {
    const header = Buffer.alloc(5);
    header.write(kind, "latin1");
    header.writeUInt32BE(body.length, 1);
    return Buffer.concat([header, body]);
  };
  if (frame.kind === "E") return [framed("E", new Uint8Array())];
  if (frame.kind === "R") {
    const size = Buffer.alloc(4);
    size.writeUInt16BE(frame.rows, 0);
    size.writeUInt16BE(frame.cols, 2);
    return [framed("R", size)];
  }
  const pieces: Buffer[] = [];
  for (let at = 0; at < frame.body.length; at += LARGEST_BODY) pieces.push(framed("I", frame.body.subarray(at, at + LARGEST_BODY)));
  return pieces;
}

/** Connections to shims, kept while they are used: frames of one process have to arrive in order. */
export class ShimConnections {
  readonly #open = new Map<string, Socket>();

  /** Hands a frame over to the shim. Resolves when the kernel has it; waits while the process does not read. Throws `wrong_state` where the shim has ended. */
  async send(directory: string, frame: Frame): Promise<void> {
    const socket = this.#open.get(directory) ?? (await this.#connect(directory));
    for (const piece of encode(frame)) {
      await new Promise<void>((resolve, reject) => {
        socket.write(piece, (error) => (error ? reject(ended(error)) : resolve()));
      });
    }
  }

  #connect(directory: string): Promise<Socket> {
    // A socket's path may have 107 bytes: through the descriptor of its directory it is always short.
    const descriptor = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY);
    return new Promise<Socket>((resolve, reject) => {
      const socket = createConnection(`/proc/self/fd/${descriptor}/control`);
      socket.once("connect", () => {
        closeSync(descriptor);
        this.#open.set(directory, socket);
        // Hints about output: the journal is watched instead.
        socket.resume();
        socket.unref();
        resolve(socket);
      });
      socket.once("error", (error) => {
        if (this.#open.get(directory) !== socket) closeSync(descriptor);
        reject(ended(error));
      });
      socket.once("close", () => this.#open.delete(directory));
    });
  }

  dispose(): void {
    for (const socket of this.#open.values()) socket.destroy();
  }
}

function ended(cause: Error): SandboxerError {
  return new SandboxerError("wrong_state", "the process has ended", { cause, phase: "processes" });
}

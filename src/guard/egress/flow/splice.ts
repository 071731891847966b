import type { Socket } from "node:net";
import { EgressRefusal } from "../inspect/types.ts";
import type { Flow } from "../session/meter.ts";
import type { Inlet } from "./inlet.ts";

/** How a spliced connection ended, and what moved. */
export interface Spliced {
  readonly bytesUp: number;
  readonly bytesDown: number;
  readonly refusal: EgressRefusal | null;
}

export interface SpliceOptions {
  readonly client: Socket;
  readonly upstream: Socket;
  /** What the upstream is read with, where it has that. */
  readonly inlet?: Inlet | undefined;
  /** Bytes of the client that were read before. */
  readonly head: Buffer;
  readonly flow: Flow;
  /** Called with what ends it from outside: the policy changed. */
  readonly onCloser: (close: (refusal: EgressRefusal) => void) => void;
}

/** Joins two sockets until both directions have ended or one side breaks. Each piece is counted, and handed over as it came. */
export function splice({ client, upstream, inlet, head, flow, onCloser }: SpliceOptions): Promise<Spliced> {
  const moved = { up: 0, down: 0 };
  let refusal: EgressRefusal | null = null;
  const end = (): void => {
    client.destroy();
    upstream.destroy();
  };
  const refuse = (thrown: unknown): void => {
    refusal ??= thrown instanceof EgressRefusal ? thrown : new EgressRefusal("error", String(thrown));
    client.resetAndDestroy();
    upstream.destroy();
  };
  const pass = (from: Socket, to: Socket, direction: "up" | "down", through?: Inlet) => {
    /** Whether more can follow at once. */
    const forward = (chunk: Buffer): boolean => {
      moved[direction] += chunk.length;
      let wait: Promise<void> | undefined;
      try {
        wait = flow(direction, chunk.length);
      } catch (thrown) {
        refuse(thrown);
        return false;
      }
      to.write(chunk);
      if (!isFull(to) && wait === undefined) return true;
      from.pause();
      if (wait === undefined) to.once("drain", () => from.resume());
      else wait.then(() => (isFull(to) ? void to.once("drain", () => from.resume()) : void from.resume()), refuse);
      return false;
    };
    if (through === undefined) from.on("data", forward);
    else through.to(to, forward);
    if (from.readableEnded) to.end();
    else from.once("end", () => to.end());
    return forward;
  };
  onCloser(refuse);
  const forwardUp = pass(client, upstream, "up");
  pass(upstream, client, "down", inlet);
  if (head.length === 0 || forwardUp(head)) client.resume();
  upstream.resume();
  return new Promise((resolve) => {
    let open = 2;
    const closed = (): void => {
      open -= 1;
      if (open > 0) return end();
      resolve({ bytesUp: moved.up, bytesDown: moved.down, refusal });
    };
    for (const socket of [client, upstream]) {
      if (socket.destroyed && socket.closed) closed();
      else socket.once("close", closed);
      socket.on("error", end);
    }
  });
}

/** `write` says false of every piece as large as a read, also of one that the kernel took at once. */
function isFull(socket: Socket): boolean {
  return socket.writableNeedDrain && socket.writableLength > 0;
}

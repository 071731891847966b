import { constants } from "node:os";
import { z } from "zod";
import { SandboxerError, type End } from "../../../contract/index.ts";

/** What goes between us and the companion inside: a letter, a big-endian u32 length, and so many bytes. See native/companion.pl. */

export type FrameKind = "s" | "o" | "e" | "c" | "x" | "f" | "z";
export interface Frame {
  readonly kind: FrameKind;
  readonly body: Buffer;
}

const KINDS = new Set("soecxfz");
/** No frame of the companion's is larger. */
const LARGEST = 1024 * 1024;

/** What stands before a body of so many bytes. */
export function frameHead(kind: "I" | "E" | "A" | "R", length: number): Uint8Array {
  const head = Buffer.allocUnsafe(5);
  head.write(kind, "latin1");
  head.writeUInt32BE(length, 1);
  return head;
}

export function encodeFrame(kind: "I" | "E" | "A" | "R", body: Uint8Array = new Uint8Array()): Uint8Array {
  return Buffer.concat([frameHead(kind, body.length), body]);
}

export function u32(value: number): Uint8Array {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** Cuts a stream of pieces into frames; a frame may be spread over any number of them. */
export class FrameReader {
  #held: Buffer[] = [];
  #size = 0;

  /** The frames that are whole with this piece. Throws `backend_rejected` where it is no frame. */
  *push(piece: Uint8Array): Generator<Frame> {
    this.#held.push(Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength));
    this.#size += piece.length;
    while (this.#size >= 5) {
      const head = this.#peek(5);
      const [kind, length] = [head.toString("latin1", 0, 1), head.readUInt32BE(1)];
      if (!KINDS.has(kind) || length > LARGEST)
        throw new SandboxerError("backend_rejected", "the companion in the sandbox sent what is no frame");
      if (this.#size < 5 + length) return;
      const all = this.#peek(5 + length);
      const [first = all, ...rest] = this.#held;
      this.#held = first.length === all.length ? rest : [first.subarray(all.length), ...rest];
      this.#size -= all.length;
      yield { kind: kind as FrameKind, body: all.subarray(5) };
    }
  }

  #peek(length: number): Buffer {
    const [first] = this.#held;
    if (first !== undefined && first.length >= length) return first.subarray(0, length);
    const joined = Buffer.concat(this.#held);
    this.#held = [joined];
    return joined.subarray(0, length);
  }
}

/** How a command ended, as the companion saw it; null where it was killed itself. */
export const Exit = z
  .object({
    code: z.int(),
    signal: z.int(),
    timed_out: z.boolean(),
    truncated: z.boolean(),
    oom_killed: z.boolean(),
    at: z.number(),
  })
  .nullable();
export type Exit = z.output<typeof Exit>;

const SIGNAL_NAMES = new Map(Object.entries(constants.signals).map(([name, number]) => [number, name]));

export function endOf(exit: Exit, truncated = false): End {
  if (exit === null) return { outcome: "unknown", exitCode: null, signal: null, oomKilled: false, truncated };
  const common = { oomKilled: exit.oom_killed, truncated: exit.truncated };
  if (exit.timed_out) return { outcome: "timed_out", exitCode: null, signal: "SIGKILL", ...common };
  if (exit.signal === 0) return { outcome: "exited", exitCode: exit.code, signal: null, ...common };
  // As a shell and OCI runtimes tell it.
  return { outcome: "signaled", exitCode: 128 + exit.signal, signal: SIGNAL_NAMES.get(exit.signal) ?? `SIG${exit.signal}`, ...common };
}

/** What the companion wrote as JSON. */
export function parseJson<Schema extends z.ZodType>(schema: Schema, text: string): z.output<Schema> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new SandboxerError("backend_rejected", "the companion in the sandbox answered what is no JSON", { cause });
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new SandboxerError("backend_rejected", "the companion in the sandbox answered what cannot be read", { cause: parsed.error });
}

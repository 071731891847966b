import { SandboxerError } from "../../contract/index.ts";

/** What goes between us and native/ssh-host.pl: a big-endian u32 channel, a letter, a u32 length, and so many bytes. */

export type HostFrameKind = "h" | "o" | "e" | "x";
/** Of output it may be a part of one. */
export interface HostFrame {
  readonly channel: number;
  readonly kind: HostFrameKind;
  readonly body: Buffer;
}

const HEAD = 9;
const KINDS = new Set("hoex");
/** No frame of the host's is larger. */
const LARGEST = 1024 * 1024;

/** What stands before a body of so many bytes. */
export function hostFrameHead(channel: number, kind: "S" | "I" | "E" | "P", length: number): Uint8Array {
  const head = Buffer.allocUnsafe(HEAD);
  head.writeUInt32BE(channel, 0);
  head.write(kind, 4, "latin1");
  head.writeUInt32BE(length, 5);
  return head;
}

/** Words, each a u32 length and its bytes. */
export function packWords(words: readonly (string | Uint8Array)[]): Buffer {
  return Buffer.concat(
    words.flatMap((word) => {
      const bytes = typeof word === "string" ? Buffer.from(word, "utf8") : word;
      const length = Buffer.alloc(4);
      length.writeUInt32BE(bytes.length);
      return [length, bytes];
    }),
  );
}

/** Throws `backend_rejected` where they are no words. */
export function unpackWords(bytes: Buffer): string[] {
  const words: string[] = [];
  for (let at = 0; at < bytes.length;) {
    const end = at + 4 <= bytes.length ? at + 4 + bytes.readUInt32BE(at) : Infinity;
    if (end > bytes.length) throw new SandboxerError("backend_rejected", "the host answered what cannot be read");
    words.push(bytes.toString("utf8", at + 4, end));
    at = end;
  }
  return words;
}

/** Cuts a stream of pieces into frames. Output is given as it comes, in parts of a frame, so that none of it is copied or waited for. */
export class HostFrameReader {
  /** The begin of a head, or of a frame that is no output. */
  #held: Buffer = Buffer.alloc(0);
  #output: { readonly channel: number; readonly kind: "o" | "e"; left: number } | undefined;

  /** What is there with this piece. Throws `backend_rejected` where it is no frame, as where a login prints words of its own. */
  push(piece: Buffer): HostFrame[] {
    const frames: HostFrame[] = [];
    let rest = this.#held.length === 0 ? piece : Buffer.concat([this.#held, piece]);
    for (;;) {
      if (this.#output !== undefined) {
        if (rest.length === 0) break;
        const { channel, kind, left } = this.#output;
        const body = rest.subarray(0, left);
        frames.push({ channel, kind, body });
        rest = rest.subarray(body.length);
        this.#output = left > body.length ? { channel, kind, left: left - body.length } : undefined;
        continue;
      }
      if (rest.length < HEAD) break;
      const [channel, kind, length] = [rest.readUInt32BE(0), rest.toString("latin1", 4, 5), rest.readUInt32BE(5)];
      if (!KINDS.has(kind) || length > LARGEST)
        throw new SandboxerError("backend_rejected", `the host sent what is no frame: ${JSON.stringify(rest.toString("latin1", 0, 80))}`, {
          phase: "connect",
          hint: "Does the login there print something of its own?",
        });
      if (kind === "o" || kind === "e") {
        rest = rest.subarray(HEAD);
        this.#output = length === 0 ? undefined : { channel, kind, left: length };
      } else if (rest.length < HEAD + length) break;
      else {
        frames.push({ channel, kind: kind as HostFrameKind, body: rest.subarray(HEAD, HEAD + length) });
        rest = rest.subarray(HEAD + length);
      }
    }
    this.#held = rest;
    return frames;
  }
}

import { SandboxerError } from "../../contract/index.ts";

/** What goes between us and native/ssh-host.pl: a big-endian u32 channel, a letter, a u32 length, and so many bytes. */

export type HostFrameKind = "h" | "o" | "e" | "x";
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

/** Cuts a stream of pieces into frames; a frame may be spread over any number of them. */
export class HostFrameReader {
  #held: Buffer[] = [];
  #size = 0;
  /** Bytes that the next look needs: what is smaller is not joined. */
  #wanted = HEAD;

  /** The frames that are whole with this piece. Throws `backend_rejected` where it is no frame, as where a login prints words of its own. */
  push(piece: Buffer): HostFrame[] {
    this.#held.push(piece);
    this.#size += piece.length;
    if (this.#size < this.#wanted) return [];
    const all = this.#held.length === 1 ? piece : Buffer.concat(this.#held);
    const frames: HostFrame[] = [];
    let at = 0;
    this.#wanted = HEAD;
    while (all.length - at >= HEAD) {
      const [kind, length] = [all.toString("latin1", at + 4, at + 5), all.readUInt32BE(at + 5)];
      if (!KINDS.has(kind) || length > LARGEST)
        throw new SandboxerError(
          "backend_rejected",
          `the host sent what is no frame: ${JSON.stringify(all.toString("latin1", at, at + 80))}`,
          {
            phase: "connect",
            hint: "Does the login there print something of its own?",
          },
        );
      const end = at + HEAD + length;
      if (end > all.length) {
        this.#wanted = HEAD + length;
        break;
      }
      frames.push({ channel: all.readUInt32BE(at), kind: kind as HostFrameKind, body: all.subarray(at + HEAD, end) });
      at = end;
    }
    const rest = all.subarray(at);
    this.#held = rest.length === 0 ? [] : [rest];
    this.#size = rest.length;
    return frames;
  }
}

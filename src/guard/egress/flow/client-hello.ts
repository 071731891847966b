/** What is read of a ClientHello (RFC 8446, 4.1.2), or what is wrong with it. */
export type HelloRead = Hello | "more" | "bad";

export interface Hello {
  /** As sent; null where there is none. */
  readonly serverName: string | null;
  /** It has an Encrypted ClientHello (RFC 9849): the name that counts may be another. */
  readonly encrypted: boolean;
}

const HANDSHAKE = 22;
const CLIENT_HELLO = 1;
const SERVER_NAME = 0;
const ENCRYPTED_CLIENT_HELLO = 0xfe0d;
const MAX_RECORD = 16_384;
/** Longest ClientHello that is waited for: those with post-quantum keys have some 2 kB. */
export const MAX_HELLO = 65_536;

/** Reads the first bytes of a TLS connection, put together from however many records and packets. */
export function readHello(bytes: Buffer): HelloRead {
  const message = handshake(bytes);
  if (typeof message === "string") return message;
  try {
    return readBody(new Cursor(message));
  } catch (thrown) {
    if (thrown instanceof RangeError) return "bad";
    throw thrown;
  }
}

function handshake(bytes: Buffer): Buffer | "more" | "bad" {
  const pieces: Buffer[] = [];
  let have = 0;
  for (let at = 0; at < bytes.length;) {
    if (bytes[at] !== HANDSHAKE || (bytes.length > at + 1 && bytes[at + 1] !== 3)) return "bad";
    if (bytes.length < at + 5) return "more";
    const length = bytes.readUInt16BE(at + 3);
    if (length === 0 || length > MAX_RECORD) return "bad";
    const piece = bytes.subarray(at + 5, at + 5 + length);
    pieces.push(piece);
    have += piece.length;
    at += 5 + length;
    if (have < 4) continue;
    const message = pieces.length === 1 ? piece : Buffer.concat(pieces);
    if (message[0] !== CLIENT_HELLO) return "bad";
    const size = message.readUIntBE(1, 3);
    if (size > MAX_HELLO) return "bad";
    if (have >= 4 + size) return message.subarray(4, 4 + size);
  }
  return "more";
}

/** Reads on, and throws RangeError at the end of the bytes. */
class Cursor {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get done(): boolean {
    return this.#at === this.#bytes.length;
  }

  number(size: number): number {
    return this.take(size).readUIntBE(0, size);
  }

  /** A vector whose length stands before it in `size` bytes. */
  vector(size: number): Buffer {
    return this.take(this.number(size));
  }

  take(length: number): Buffer {
    if (this.#at + length > this.#bytes.length) throw new RangeError("the message is shorter than it says");
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }
}

function readBody(hello: Cursor): HelloRead {
  hello.take(2 + 32);
  for (const size of [1, 2, 1]) hello.vector(size);
  if (hello.done) return { serverName: null, encrypted: false };
  const extensions = new Cursor(hello.vector(2));
  let serverName: string | null = null;
  let encrypted = false;
  const seen = new Set<number>();
  while (!extensions.done) {
    const type = extensions.number(2);
    const body = extensions.vector(2);
    // Two names: which of them the server takes is its own affair.
    if (seen.has(type)) return "bad";
    seen.add(type);
    if (type === ENCRYPTED_CLIENT_HELLO) encrypted = true;
    if (type === SERVER_NAME) {
      const list = new Cursor(new Cursor(body).vector(2));
      const kind = list.number(1);
      const name = list.vector(2);
      if (kind !== 0 || !list.done) return "bad";
      serverName = name.toString("latin1");
    }
  }
  return hello.done ? { serverName, encrypted } : "bad";
}

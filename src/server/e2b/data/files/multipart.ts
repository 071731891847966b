import { SandboxerError } from "../../../../contract/index.ts";

/** A part of a form. Its body has to be read before the next part is asked for; what is left of it is skipped. */
export interface Part {
  readonly name: string;
  /** As it was sent: a path, not only its last name. */
  readonly filename: string | undefined;
  readonly body: AsyncIterable<Uint8Array>;
}

const MAX_HEADER_BYTES = 16 * 1024;
const CRLF2 = Buffer.from("\r\n\r\n");

/**
 * The parts of a `multipart/form-data` body (RFC 7578) as they come: only one piece of a file is held at a time.
 *
 * @throws SandboxerError `invalid_request` for a body that is cut short or is none.
 */
export async function* multipartFiles(source: AsyncIterable<Uint8Array>, boundary: string): AsyncGenerator<Part, void, void> {
  // As if a line had ended before the body, so that the first delimiter is like the others.
  const reader = new Reader(source, Buffer.from("\r\n"));
  const delimiter = Buffer.from(`\r\n--${boundary}`);
  for await (const preamble of reader.until(delimiter)) void preamble;
  for (;;) {
    const after = await reader.take(2);
    if (after.equals(Buffer.from("--"))) return;
    if (!after.equals(Buffer.from("\r\n"))) throw malformed("a boundary is followed by neither a line's end nor --");
    const headers = await head(reader);
    const body = reader.until(delimiter);
    yield { ...disposition(headers), body };
    for await (const rest of body) void rest;
  }
}

async function head(reader: Reader): Promise<string> {
  const pieces: Uint8Array[] = [];
  let size = 0;
  for await (const piece of reader.until(CRLF2)) {
    size += piece.byteLength;
    if (size > MAX_HEADER_BYTES) throw malformed("a part's headers are too long");
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString("utf8");
}

function disposition(headers: string): { name: string; filename: string | undefined } {
  const line = headers.split("\r\n").find((header) => /^content-disposition:/i.test(header));
  const value = (key: string): string | undefined => {
    const found = new RegExp(`;\\s*${key}="((?:[^"\\\\]|\\\\.)*)"`, "i").exec(line ?? "")?.[1];
    // What a form's encoder escapes, and what older ones do.
    return found?.replace(/\\(["\\])/g, "$1").replace(/%0D|%0A|%22/gi, (escape) => decodeURIComponent(escape));
  };
  const name = value("name");
  if (name === undefined) throw malformed("a part has no name");
  return { name, filename: value("filename") };
}

/** Reads a stream up to a mark, wherever its pieces are cut. */
class Reader {
  readonly #source: AsyncIterator<Uint8Array>;
  #held: Buffer;

  constructor(source: AsyncIterable<Uint8Array>, first: Buffer) {
    this.#source = source[Symbol.asyncIterator]();
    this.#held = first;
  }

  async take(count: number): Promise<Buffer> {
    while (this.#held.length < count) await this.#more();
    const taken = this.#held.subarray(0, count);
    this.#held = this.#held.subarray(count);
    return taken;
  }

  /** What comes before the mark, which is taken too. Read to its end, it stays at its end. */
  async *until(mark: Buffer): AsyncGenerator<Uint8Array, void, void> {
    for (;;) {
      const at = this.#held.indexOf(mark);
      const safe = at === -1 ? beginsAt(this.#held, mark) : at;
      const before = this.#held.subarray(0, safe);
      this.#held = this.#held.subarray(at === -1 ? safe : at + mark.length);
      if (before.length > 0) yield before;
      if (at !== -1) return;
      await this.#more();
    }
  }

  async #more(): Promise<void> {
    const { done, value } = await this.#source.next();
    if (done === true) throw malformed("it ends before its last boundary");
    this.#held =
      this.#held.length === 0 ? Buffer.from(value.buffer, value.byteOffset, value.byteLength) : Buffer.concat([this.#held, value]);
  }
}

/** Where the mark may begin in the last bytes: mostly nowhere, so that nothing is kept back to be copied in front of the next piece. */
function beginsAt(held: Buffer, mark: Buffer): number {
  for (let at = Math.max(0, held.length - mark.length + 1); at < held.length; at++) {
    at = held.indexOf(mark[0] ?? 0, at);
    if (at === -1) break;
    if (mark.subarray(0, held.length - at).equals(held.subarray(at))) return at;
  }
  return held.length;
}

function malformed(what: string): SandboxerError {
  return new SandboxerError("invalid_request", `the form cannot be read: ${what}`);
}

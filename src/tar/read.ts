import { BLOCK, decodeHeader, type Entry } from "./header.ts";

/** Extended headers are names and a few numbers; one longer than this is an attack on memory. */
const EXTENSION_BYTES = 1024 ** 2;

/** An entry with its content, which must be read or skipped (by going on) before the next one. */
export interface ReadEntry extends Entry {
  readonly content: AsyncIterable<Buffer>;
}

/** What an extended header says in place of the header behind it. */
type Override = { -readonly [Field in "name" | "link" | "size" | "uid" | "gid" | "mtime"]?: Entry[Field] };

export interface ReadOptions {
  /** Whether a tar without its end mark is taken for cut off, as it is unless told otherwise. Some tools leave it out. */
  readonly endMark?: "needed" | "optional";
}

/**
 * Reads a tar as it comes, in constant memory. Understands ustar, GNU long names and numbers, and pax paths, sizes, owners and times;
 * anything else is handed on as type "other". Throws RangeError on what is not a tar or ends too early.
 */
export async function* readTar(
  source: AsyncIterable<Uint8Array>,
  { endMark = "needed" }: ReadOptions = {},
): AsyncGenerator<ReadEntry, void, undefined> {
  const input = new Blocks(source);
  let override: Override = {};
  for (;;) {
    const block = await input.take(BLOCK);
    if (block === undefined && (endMark === "needed" || !input.isEmpty)) throw new RangeError("the tar ends before its end mark");
    if (block === undefined) return;
    const header = decodeHeader(block);
    if (header === undefined) {
      await input.drain();
      return;
    }
    if (header.flag === "L" || header.flag === "K" || header.flag === "x" || header.flag === "g") {
      if (header.size > EXTENSION_BYTES) throw new RangeError("an extended header is too long");
      const data = await input.take(padded(header.size));
      if (data === undefined) throw new RangeError("the tar ends inside an extended header");
      const content = data.subarray(0, header.size);
      if (header.flag === "L") override.name = untilNul(content);
      else if (header.flag === "K") override.link = untilNul(content);
      else if (header.flag === "x") override = { ...override, ...paxFields(content) };
      continue;
    }
    const entry = { ...header, ...override };
    override = {};
    const stored = entry.type === "file" || entry.type === "other" ? entry.size : 0;
    const content = input.content(stored);
    yield { ...entry, size: stored, content };
    for await (const rest of content) void rest;
    if ((await input.take(padded(stored) - stored)) === undefined) throw new RangeError("the tar ends inside an entry");
  }
}

function padded(size: number): number {
  return Math.ceil(size / BLOCK) * BLOCK;
}

function untilNul(data: Buffer): string {
  const end = data.indexOf(0);
  return data.toString("latin1", 0, end === -1 ? data.length : end);
}

function paxFields(data: Buffer): Override {
  const found: Override = {};
  for (let at = 0; at < data.length;) {
    const space = data.indexOf(0x20, at);
    const length = Number(data.toString("latin1", at, space));
    if (space === -1 || !Number.isInteger(length) || length <= space - at + 1 || at + length > data.length)
      throw new RangeError("a pax header is malformed");
    const record = data.toString("latin1", space + 1, at + length - 1);
    const equals = record.indexOf("=");
    const [key, value] = [record.slice(0, equals), record.slice(equals + 1)];
    if (key === "path") found.name = value;
    else if (key === "linkpath") found.link = value;
    else if (key === "size" || key === "uid" || key === "gid") found[key] = whole(value);
    else if (key === "mtime") found.mtime = Math.max(0, Math.floor(Number(value) || 0));
    else if (key.startsWith("GNU.sparse")) throw new RangeError("sparse entries are not understood");
    at += length;
  }
  return found;
}

function whole(value: string): number {
  if (!/^\d{1,15}$/.test(value)) throw new RangeError("a number in a pax header is malformed");
  return Number(value);
}

/** Cuts a stream of chunks of any size into what is asked for. */
class Blocks {
  readonly #source: AsyncIterator<Uint8Array>;
  #held: Buffer = Buffer.alloc(0);

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /** Whether nothing is left over of what could not be taken. */
  get isEmpty(): boolean {
    return this.#held.length === 0;
  }

  /** Exactly that many bytes, or undefined where the source ends first. */
  async take(length: number): Promise<Buffer | undefined> {
    const parts = [this.#held];
    let have = this.#held.length;
    while (have < length) {
      const { done, value } = await this.#source.next();
      if (done === true) {
        this.#held = Buffer.concat(parts);
        return undefined;
      }
      parts.push(Buffer.from(value.buffer, value.byteOffset, value.byteLength));
      have += value.length;
    }
    const all = parts.length === 1 ? this.#held : Buffer.concat(parts);
    this.#held = all.subarray(length);
    return all.subarray(0, length);
  }

  /** The next bytes as they come. Whoever iterates again goes on where the last one stopped. */
  content(length: number): AsyncIterable<Buffer> {
    let left = length;
    const next = async (): Promise<IteratorResult<Buffer, undefined>> => {
      if (left === 0) return { done: true, value: undefined };
      while (this.#held.length === 0) {
        const { done, value } = await this.#source.next();
        if (done === true) throw new RangeError("the tar ends inside an entry");
        this.#held = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
      }
      const piece = this.#held.subarray(0, left);
      this.#held = this.#held.subarray(piece.length);
      left -= piece.length;
      return { done: false, value: piece };
    };
    return { [Symbol.asyncIterator]: () => ({ next }) };
  }

  /** Reads on to the end, so that the sender is not cut off while it writes padding. */
  async drain(): Promise<void> {
    this.#held = Buffer.alloc(0);
    while ((await this.#source.next()).done !== true);
  }
}

/**
 * Reads the tars that images are made of, as they come and in constant memory: ustar, GNU long names and numbers, pax paths, sizes, owners
 * and times. Strict, since who wrote them is a stranger: what it does not understand it refuses. Format: tar(5).
 */

const BLOCK = 512;

/** Extended headers are names and a few numbers; one longer than this is an attack on memory. */
const EXTENSION_BYTES = 1024 ** 2;

export type TarType = "file" | "hardlink" | "symlink" | "char_device" | "block_device" | "directory" | "fifo";

/** One entry; its content must be read, or skipped by going on, before the next one. */
export interface TarEntry {
  /** Raw bytes as latin-1 text: one character a byte, so that any name round-trips. */
  readonly name: string;
  readonly type: TarType;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  /** Seconds since the epoch. */
  readonly mtime: number;
  readonly link: string;
  readonly content: AsyncIterable<Buffer>;
}

const TYPES: Readonly<Record<string, TarType>> = {
  "0": "file", "\0": "file", "7": "file", "1": "hardlink", "2": "symlink", "3": "char_device", "4": "block_device", "5": "directory", "6": "fifo",
}; // prettier-ignore

interface Override {
  name?: string;
  link?: string;
  size?: number;
  uid?: number;
  gid?: number;
  mtime?: number;
}

/** Every entry in turn. Throws RangeError on what is not a tar, ends too early, or cannot be understood. */
export async function* readTar(source: AsyncIterable<Uint8Array>): AsyncGenerator<TarEntry, void, undefined> {
  const input = new Blocks(source);
  let override: Override = {};
  for (;;) {
    const block = await input.take(BLOCK);
    // Some tools leave the end mark out; what ends between two entries is whole, and its digest says whether it is all.
    if (block === undefined || block.every((byte) => byte === 0)) return input.drain();
    const flag = checkedFlag(block);
    const size = number(block, 124, 12);
    if (flag === "L" || flag === "K" || flag === "x" || flag === "g") {
      if (size > EXTENSION_BYTES) throw new RangeError("an extended header is too long");
      const content = (await input.exactly(padded(size))).subarray(0, size);
      if (flag === "L") override.name = untilNul(content);
      else if (flag === "K") override.link = untilNul(content);
      else if (flag === "x") override = { ...override, ...paxFields(content) };
      continue;
    }
    const type = TYPES[flag];
    if (type === undefined) throw new RangeError(`an entry is of the unknown type ${JSON.stringify(flag)}`);
    const prefix = block.toString("latin1", 257, 263) === "ustar\0" ? text(block, 345, 155) : "";
    const entry = {
      name: prefix === "" ? text(block, 0, 100) : `${prefix}/${text(block, 0, 100)}`,
      mode: number(block, 100, 8) & 0o7777,
      uid: number(block, 108, 8),
      gid: number(block, 116, 8),
      mtime: number(block, 136, 12),
      link: text(block, 157, 100),
      size,
      ...override,
    };
    override = {};
    const stored = type === "file" ? entry.size : 0;
    const content = input.content(stored);
    yield { ...entry, type: type === "file" && entry.name.endsWith("/") ? "directory" : type, size: stored, content };
    for await (const rest of content) void rest;
    await input.exactly(padded(stored) - stored);
  }
}

function padded(size: number): number {
  return Math.ceil(size / BLOCK) * BLOCK;
}

function checkedFlag(block: Buffer): string {
  let sum = 0;
  for (let i = 0; i < BLOCK; i++) sum += i >= 148 && i < 156 ? 32 : (block[i] ?? 0);
  if (sum !== number(block, 148, 8)) throw new RangeError("it is not a tar: a header's checksum is wrong");
  return block.toString("latin1", 156, 157);
}

function text(block: Buffer, offset: number, length: number): string {
  const end = block.indexOf(0, offset);
  return block.toString("latin1", offset, end === -1 || end > offset + length ? offset + length : end);
}

function number(block: Buffer, offset: number, length: number): number {
  const lead = block[offset] ?? 0;
  if (lead === 0x80) {
    const value = block.subarray(offset + 1, offset + length).reduce((sum, byte) => sum * 256 + byte, 0);
    if (!Number.isSafeInteger(value)) throw new RangeError("a number in a header is too large");
    return value;
  }
  const digits = text(block, offset, length).trim();
  if (!/^[0-7]*$/.test(digits)) throw new RangeError("a number in a header is not octal");
  return digits === "" ? 0 : Number.parseInt(digits, 8);
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

  /** That many bytes, or undefined where the source has ended. */
  async take(length: number): Promise<Buffer | undefined> {
    const parts = [this.#held];
    let have = this.#held.length;
    while (have < length) {
      const { done, value } = await this.#source.next();
      if (done === true) {
        if (have === 0) return undefined;
        throw new RangeError("the tar ends in the middle");
      }
      parts.push(Buffer.from(value.buffer, value.byteOffset, value.byteLength));
      have += value.length;
    }
    const all = parts.length === 1 ? this.#held : Buffer.concat(parts);
    this.#held = all.subarray(length);
    return all.subarray(0, length);
  }

  async exactly(length: number): Promise<Buffer> {
    const taken = length === 0 ? Buffer.alloc(0) : await this.take(length);
    if (taken === undefined) throw new RangeError("the tar ends in the middle");
    return taken;
  }

  /** The next bytes as they come. Whoever iterates again goes on where the last one stopped. */
  content(length: number): AsyncIterable<Buffer> {
    let left = length;
    const next = async (): Promise<IteratorResult<Buffer, undefined>> => {
      if (left === 0) return { done: true, value: undefined };
      while (this.#held.length === 0) {
        const { done, value } = await this.#source.next();
        if (done === true) throw new RangeError("the tar ends in the middle");
        this.#held = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
      }
      const piece = this.#held.subarray(0, left);
      this.#held = this.#held.subarray(piece.length);
      left -= piece.length;
      return { done: false, value: piece };
    };
    return { [Symbol.asyncIterator]: () => ({ next }) };
  }

  /** Reads on to the end: what follows counts in the digest. */
  async drain(): Promise<void> {
    this.#held = Buffer.alloc(0);
    while ((await this.#source.next()).done !== true);
  }
}

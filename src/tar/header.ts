/** The tar format: 512-byte headers, POSIX ustar with the GNU extensions for long names and large numbers. */

export const BLOCK = 512;

type EntryType = "file" | "hardlink" | "symlink" | "char_device" | "block_device" | "directory" | "fifo" | "other";

/** One entry. Names are raw bytes as latin-1 text: one character a byte, so that any name round-trips. */
export interface Entry {
  readonly name: string;
  readonly type: EntryType;
  /** The type flag as it stands in the header. */
  readonly flag: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  /** Seconds since the epoch. */
  readonly mtime: number;
  readonly link: string;
}

const TYPES: Readonly<Record<string, EntryType>> = {
  "0": "file", "\0": "file", "7": "file", "1": "hardlink", "2": "symlink", "3": "char_device", "4": "block_device", "5": "directory", "6": "fifo",
}; // prettier-ignore

/** Reads a header block; undefined for a block of zeros. Throws RangeError where it is none. */
export function decodeHeader(block: Buffer): Entry | undefined {
  if (block.every((byte) => byte === 0)) return undefined;
  let sum = 0;
  for (let i = 0; i < BLOCK; i++) sum += i >= 148 && i < 156 ? 32 : (block[i] ?? 0);
  if (sum !== number(block, 148, 8)) throw new RangeError("it is not a tar: a header's checksum is wrong");
  const flag = block.toString("latin1", 156, 157);
  const prefix = block.toString("latin1", 257, 263) === "ustar\0" ? text(block, 345, 155) : "";
  const name = text(block, 0, 100);
  return {
    name: prefix === "" ? name : `${prefix}/${name}`,
    type: TYPES[flag] ?? "other",
    flag,
    mode: number(block, 100, 8) & 0o7777,
    uid: number(block, 108, 8),
    gid: number(block, 116, 8),
    size: number(block, 124, 12),
    mtime: number(block, 136, 12),
    link: text(block, 157, 100),
  };
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

/** What is written of an entry: it belongs to nobody. */
type Written = Omit<Entry, "type" | "uid" | "gid">;

/** The blocks of one header, with a GNU long-name entry before it where a name does not fit. */
export function encodeHeader(entry: Written): Buffer {
  const parts: Buffer[] = [];
  if (entry.link.length > 100) parts.push(longName("K", entry.link));
  if (entry.name.length > 100) parts.push(longName("L", entry.name));
  parts.push(block(entry));
  return Buffer.concat(parts);
}

function longName(flag: "K" | "L", name: string): Buffer {
  const data = Buffer.alloc(Math.ceil((name.length + 1) / BLOCK) * BLOCK);
  data.write(name, 0, "latin1");
  return Buffer.concat([block({ name: "././@LongLink", flag, mode: 0o644, size: name.length + 1, mtime: 0, link: "" }), data]);
}

function block({ name, flag, mode, size, mtime, link }: Written): Buffer {
  const header = Buffer.alloc(BLOCK);
  header.write(name.slice(0, 100), 0, "latin1");
  header.write(octal(mode, 8), 100, "latin1");
  header.write(octal(0, 8), 108, "latin1");
  header.write(octal(0, 8), 116, "latin1");
  if (size < 8 ** 11) header.write(octal(size, 12), 124, "latin1");
  else {
    header[124] = 0x80;
    header.writeBigUInt64BE(BigInt(size), 128);
  }
  header.write(octal(Math.max(0, Math.floor(mtime)), 12), 136, "latin1");
  header.write("        ", 148, "latin1");
  header.write(flag, 156, "latin1");
  header.write(link.slice(0, 100), 157, "latin1");
  header.write("ustar  \0", 257, "latin1");
  let sum = 0;
  for (const byte of header) sum += byte;
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return header;
}

function octal(value: number, length: number): string {
  return `${value.toString(8).padStart(length - 1, "0")}\0`;
}

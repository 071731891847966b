import { SandboxerError, pathFromBytes } from "../../contract/index.ts";
import type { FileInfo } from "../../contract/index.ts";

const TYPES: Readonly<Record<number, FileInfo["type"]>> = {
  0x1000: "fifo",
  0x2000: "char_device",
  0x4000: "directory",
  0x6000: "block_device",
  0x8000: "file",
  0xa000: "symlink",
  0xc000: "socket",
};

/** What `stat -c` of {@link FIELDS} said, as text without names. */
export interface StatFields {
  readonly info: Omit<FileInfo, "path" | "name" | "target">;
  readonly inode: string;
  /** All of it, to see whether anything changed. */
  readonly raw: string;
}

/** Reads one answer of `stat -c`. Throws `backend_rejected` for what is none. */
export function parseFields(text: string): StatFields {
  const match = /^([0-9a-f]+) (\d+) (\d+) (\d+) (\d+) (\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)(?:\.(\d{1,9}))? /.exec(`${text} `);
  const type = match === null ? undefined : TYPES[Number.parseInt(match[1] ?? "", 16) & 0xf000];
  if (match === null || type === undefined)
    throw new SandboxerError("backend_rejected", `the sandbox's stat answered what cannot be read: ${JSON.stringify(text.slice(0, 200))}`, {
      phase: "files",
    });
  const [, mode = "", size = "", uid = "", gid = "", inode = "", day = "", time = "", fraction = ""] = match;
  const info = {
    type,
    size: Number(size),
    mode: (Number.parseInt(mode, 16) & 0o7777).toString(8).padStart(4, "0"),
    uid: Number(uid),
    gid: Number(gid),
    modified_at: `${day}T${time}.${fraction.padEnd(3, "0").slice(0, 3)}Z`,
  };
  return { info, inode, raw: text };
}

/** A whole FileInfo. `arrow` is what `%N` said: for a symlink, `'name' -> 'target'`. */
export function toInfo(fields: StatFields, path: string, nameBytes: Buffer, arrow: Buffer): FileInfo {
  const target = fields.info.type === "symlink" ? pathFromBytes(arrow.subarray(nameBytes.length + 7, arrow.length - 1)) : null;
  return { ...fields.info, path, name: path.slice(path.lastIndexOf("/") + 1), target };
}

/** Splits at a word, over bytes: names need not be UTF-8. */
export function splitBytes(bytes: Buffer, word: string): Buffer[] {
  const pieces: Buffer[] = [];
  let from = 0;
  for (let at = bytes.indexOf(word); at >= 0; at = bytes.indexOf(word, from)) {
    pieces.push(bytes.subarray(from, at));
    from = at + word.length;
  }
  pieces.push(bytes.subarray(from));
  return pieces;
}

import {
  chmodSync, chownSync, closeSync, fchmodSync, fchownSync, futimesSync, lchownSync, linkSync, lstatSync, lutimesSync, mkdirSync, openSync, symlinkSync, utimesSync, writeSync,
} from "node:fs"; // prettier-ignore
import { constants } from "node:fs";
import { IDS_PER_SANDBOX } from "../disk/slot.ts";
import { type Allowance, refused } from "./limits.ts";
import { markOverlay, type OverlayMark } from "./overlay.ts";
import { readImageTar, type TarEntry } from "./tar.ts";

/**
 * Unpacks one layer into an empty directory that nobody else writes to. The tar is a stranger's: a path leads through directories that this layer
 * itself has made and never through a link, so nothing is written, linked or read outside. Bits for set-user-id are dropped, devices are
 * refused; those below /dev, which sandboxes have of their own, are left out.
 */

/** Names by which a layer says what of those below it is gone: https://github.com/opencontainers/image-spec/blob/main/layer.md */
const WHITEOUT = ".wh.";
const OPAQUE = ".wh..wh..opq";

const PERMISSIONS = 0o1777;

/** Times of directories are set last: what is made in them would change them. */
interface Directory {
  readonly mode: number;
  readonly mtime: number;
}

/** What was unpacked. */
export interface Unpacked {
  readonly bytes: number;
  readonly entries: number;
}

/** Throws `invalid_request` for what is refused; then the directory is to be thrown away. */
export async function unpackLayer(
  tar: AsyncIterable<Uint8Array>,
  directory: string,
  allowance: Allowance,
  { whiteouts = true }: { whiteouts?: boolean } = {},
): Promise<Unpacked> {
  const layer = new Layer(directory, allowance, whiteouts);
  try {
    for await (const entry of readImageTar(tar)) await layer.add(entry);
  } catch (error) {
    if (error instanceof RangeError) throw refused(error.message, error);
    throw error;
  }
  return layer.finish();
}

class Layer {
  readonly #root: string;
  readonly #allowance: Allowance;
  readonly #directories = new Map<string, Directory>([["", { mode: 0o755, mtime: 0 }]]);
  /** Whether names that begin with `.wh.` say what is gone; a whole tree has none that do. */
  readonly #marked: boolean;
  readonly #whiteouts: string[] = [];
  readonly #opaque: string[] = [];
  #bytes = 0;
  #entries = 0;

  constructor(root: string, allowance: Allowance, marked: boolean) {
    this.#root = root;
    this.#marked = marked;
    this.#allowance = allowance;
  }

  async add(entry: TarEntry): Promise<void> {
    this.#allowance.takeEntry();
    this.#entries++;
    const parts = partsOf(entry.name);
    const name = parts.at(-1);
    if (name === undefined) {
      if (entry.type !== "directory") throw refused("its root is not a directory");
      return this.#directory("", entry);
    }
    const parent = parts.slice(0, -1).join("/");
    const path = parts.join("/");
    if (this.#marked && name.startsWith(WHITEOUT)) return this.#whiteout(parent, name);
    if (entry.type === "char_device" || entry.type === "block_device") {
      if (parts[0] === "dev") return undefined;
      throw refused(`${shown(path)} is a device`);
    }
    this.#makeParents(parts.slice(0, -1));
    if (entry.type === "directory") return this.#directory(path, entry);
    if (this.#kindOf(path) !== undefined) throw refused(`${shown(path)} is there twice`);
    switch (entry.type) {
      case "file":
        return this.#file(path, entry);
      case "symlink":
        return this.#symlink(path, entry);
      case "hardlink":
        return this.#hardlink(path, entry);
      case "fifo":
        // Nothing waits at its other end: a program makes its own.
        return undefined;
    }
  }

  /** Marks what hides the layers below, and sets what later entries would have changed. */
  async finish(): Promise<Unpacked> {
    const marks: OverlayMark[] = this.#opaque.map((path) => ({ kind: "opaque", path }));
    for (const path of this.#whiteouts) {
      const kind = this.#kindOf(path);
      if (kind === undefined) marks.push({ kind: "whiteout", path });
      // What is both gone and there is there instead.
      else if (kind === "directory") marks.push({ kind: "opaque", path });
    }
    await markOverlay(this.#root, marks);
    for (const [path, { mode, mtime }] of [...this.#directories].reverse()) {
      chmodSync(this.#at(path), mode);
      utimesSync(this.#at(path), mtime, mtime);
    }
    return { bytes: this.#bytes, entries: this.#entries };
  }

  #at(path: string): Buffer {
    return Buffer.concat([Buffer.from(`${this.#root}/`), Buffer.from(path, "latin1")]);
  }

  #kindOf(path: string): "directory" | "file" | "other" | undefined {
    if (this.#directories.has(path)) return "directory";
    const found = lstatSync(this.#at(path), { throwIfNoEntry: false });
    return found === undefined ? undefined : found.isFile() ? "file" : "other";
  }

  #makeParents(parts: readonly string[]): void {
    for (let depth = 1; depth <= parts.length; depth++) {
      const path = parts.slice(0, depth).join("/");
      if (this.#directories.has(path)) continue;
      if (this.#kindOf(path) !== undefined) throw refused(`${shown(path)} is not a directory, and something is to be in it`);
      mkdirSync(this.#at(path), { mode: 0o755 });
      this.#directories.set(path, { mode: 0o755, mtime: 0 });
    }
  }

  /** Whiteouts are made last: what they hide may stand before or behind them. */
  #whiteout(parent: string, name: string): void {
    this.#makeParents(parent === "" ? [] : parent.split("/"));
    const hidden = name.slice(WHITEOUT.length);
    if (name === OPAQUE) this.#opaque.push(parent);
    // Others with that beginning are an old file system's own.
    else if (hidden.startsWith(WHITEOUT)) return;
    else if (hidden === "" || hidden === "." || hidden === "..") throw refused("a whiteout has no name");
    else this.#whiteouts.push(parent === "" ? hidden : `${parent}/${hidden}`);
  }

  #directory(path: string, { mode, uid, gid, mtime }: TarEntry): void {
    const kind = this.#kindOf(path);
    if (kind !== undefined && kind !== "directory") throw refused(`${shown(path)} is there twice`);
    if (kind === undefined) mkdirSync(this.#at(path), { mode: 0o700 });
    this.#directories.set(path, { mode: mode & PERMISSIONS, mtime });
    chownSync(this.#at(path), ...owner(path, uid, gid));
  }

  async #file(path: string, { mode, uid, gid, mtime, size, content }: TarEntry): Promise<void> {
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
    const descriptor = openSync(this.#at(path), flags, 0o600);
    try {
      for await (const piece of content) for (let at = 0; at < piece.length;) at += writeSync(descriptor, piece, at);
      fchownSync(descriptor, ...owner(path, uid, gid));
      fchmodSync(descriptor, mode & 0o777);
      futimesSync(descriptor, mtime, mtime);
    } finally {
      closeSync(descriptor);
    }
    this.#bytes += size;
  }

  #symlink(path: string, { uid, gid, mtime, link }: TarEntry): void {
    if (link === "" || link.includes("\0")) throw refused(`${shown(path)} is a link to nowhere`);
    symlinkSync(Buffer.from(link, "latin1"), this.#at(path));
    lchownSync(this.#at(path), ...owner(path, uid, gid));
    lutimesSync(this.#at(path), mtime, mtime);
  }

  /** To a file of this layer only. link(2) follows no link at the end of a path, and before it there are directories of ours. */
  #hardlink(path: string, { link }: TarEntry): void {
    const parts = partsOf(link);
    const parent = parts.slice(0, -1).join("/");
    const target = parts.join("/");
    if (!this.#directories.has(parent) || this.#kindOf(target) !== "file")
      throw refused(`${shown(path)} is a hard link to ${shown(target)}, which is no file of the same layer`);
    linkSync(this.#at(target), this.#at(path));
  }
}

/** The names that a path is made of. Refuses what leads out, or starts elsewhere. */
function partsOf(name: string): string[] {
  const parts = name.split("/").filter((part) => part !== "" && part !== ".");
  if (name.startsWith("/")) throw refused(`${shown(name)} is an absolute path`);
  if (parts.includes("..")) throw refused(`${shown(name)} leads out of the image`);
  if (name.includes("\0") || name.length > 4095 || parts.some((part) => part.length > 255)) throw refused("a name in it is no file name");
  return parts;
}

function owner(path: string, uid: number, gid: number): [number, number] {
  if (uid < IDS_PER_SANDBOX && gid < IDS_PER_SANDBOX) return [uid, gid];
  throw refused(`${shown(path)} belongs to ${uid}:${gid}; sandboxes have ids below ${IDS_PER_SANDBOX}`);
}

/** A stranger's name, as it may be printed. */
function shown(name: string): string {
  return JSON.stringify(Buffer.from(name, "latin1").toString("utf8").slice(0, 200));
}

import { createHash } from "node:crypto";
import { closeSync, constants, lstatSync, openSync, readdirSync, readlinkSync, readSync, type Stats } from "node:fs";
import { readAttributes } from "../images/overlay.ts";

/** What is in a snapshot's tree: a line for each entry, by which any change of it is found. */
export interface Manifest {
  readonly text: string;
  /** sha256 over the text. */
  readonly digest: string;
  /** Of regular files, each counted once. */
  readonly bytes: number;
  readonly entries: number;
}

const CHUNK = 1024 ** 2;

/**
 * Reads a whole tree, contents too: its cost is the snapshot's own size. Names, kinds, modes, owners, links, contents and what the overlay keeps of
 * its own count; times do not. The tree must be one that nobody writes to.
 */
export async function manifestOf(directory: string): Promise<Manifest> {
  const attributes = await readAttributes(directory);
  const lines: string[] = [];
  const seen = new Map<string, string>();
  let bytes = 0;
  const visit = (path: Buffer, name: string): void => {
    const stats = lstatSync(path);
    lines.push(JSON.stringify([name, kindOf(stats), stats.mode & 0o7777, stats.uid, stats.gid, contentOf(path, stats), attributes.get(name) ?? ""]));
    if (!stats.isDirectory()) return;
    const names = readdirSync(path, { encoding: "buffer" }).map((entry) => entry.toString("latin1")).sort();
    for (const entry of names) visit(Buffer.concat([path, Buffer.from(`/${entry}`, "latin1")]), name === "" ? entry : `${name}/${entry}`);
  };
  const contentOf = (path: Buffer, stats: Stats): string | number => {
    if (stats.isSymbolicLink()) return readlinkSync(path, { encoding: "buffer" }).toString("latin1");
    if (!stats.isFile()) return stats.rdev;
    const key = `${stats.dev}.${stats.ino}`;
    const known = stats.nlink > 1 ? seen.get(key) : undefined;
    if (known !== undefined) return known;
    bytes += stats.size;
    const digest = hashOf(path, stats.size);
    seen.set(key, digest);
    return digest;
  };
  visit(Buffer.from(directory), "");
  const text = `${lines.join("\n")}\n`;
  return { text, digest: `sha256:${createHash("sha256").update(text).digest("hex")}`, bytes, entries: lines.length - 1 };
} // prettier-ignore

function kindOf(stats: Stats): string {
  if (stats.isDirectory()) return "directory";
  if (stats.isFile()) return "file";
  if (stats.isSymbolicLink()) return "link";
  return stats.isCharacterDevice() ? "gone" : stats.isFIFO() ? "fifo" : "other";
}

function hashOf(path: Buffer, size: number): string {
  const hash = createHash("sha256").update(`${size}\0`);
  const descriptor = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    const buffer = Buffer.allocUnsafe(Math.min(CHUNK, Math.max(1, size)));
    for (let count = readSync(descriptor, buffer); count > 0; count = readSync(descriptor, buffer)) hash.update(buffer.subarray(0, count));
  } finally {
    closeSync(descriptor);
  }
  return hash.digest("hex");
}

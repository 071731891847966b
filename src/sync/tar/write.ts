import { opendir, lstat, open, readlink } from "node:fs/promises";
import { constants } from "node:fs";
import type { Stats } from "node:fs";
import { BLOCK, encodeHeader } from "../../tar/header.ts";

const CHUNK = 256 * 1024;

/** What the writer did, for progress and for the report at the end. */
export interface WriteProgress {
  entries: number;
  bytes: number;
  /** Names that are neither file, directory nor symlink, and were left out. */
  skipped: string[];
}

/**
 * A host directory as a tar, names relative to it, in constant memory. Symlinks go as symlinks and are never followed.
 * A file that shrinks while it is read is padded with zeros, one that grows is cut: the size stands before it.
 */
export async function* writeTar(root: string, progress: WriteProgress): AsyncGenerator<Buffer, void, undefined> {
  yield* directory(Buffer.from(root), "", progress);
  yield Buffer.alloc(2 * BLOCK);
}

async function* directory(path: Buffer, prefix: string, progress: WriteProgress): AsyncGenerator<Buffer, void, undefined> {
  for await (const entry of await opendir(path, { encoding: "buffer" as never })) {
    const bytes = entry.name as unknown as Buffer;
    const child = Buffer.concat([path, Buffer.from("/"), bytes]);
    const name = prefix + bytes.toString("latin1");
    const stat = await lstat(child);
    if (stat.isDirectory()) {
      progress.entries++;
      yield encodeHeader({ ...common(stat), name: `${name}/`, flag: "5", size: 0, link: "" });
      yield* directory(child, `${name}/`, progress);
    } else if (stat.isSymbolicLink()) {
      progress.entries++;
      yield encodeHeader({
        ...common(stat),
        name,
        flag: "2",
        size: 0,
        link: (await readlink(child, { encoding: "buffer" })).toString("latin1"),
      });
    } else if (stat.isFile()) yield* file(child, name, progress);
    else progress.skipped.push(bytes.toString());
  }
}

function common(stat: Stats): { mode: number; mtime: number } {
  return { mode: stat.mode & 0o777, mtime: stat.mtimeMs / 1000 };
}

async function* file(path: Buffer, name: string, progress: WriteProgress): AsyncGenerator<Buffer, void, undefined> {
  // What was a file a moment ago may be a symlink or a FIFO by now.
  await using handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  const stat = await handle.stat();
  if (!stat.isFile()) {
    progress.skipped.push(path.toString());
    return;
  }
  progress.entries++;
  yield encodeHeader({ ...common(stat), name, flag: "0", size: stat.size, link: "" });
  let left = stat.size;
  while (left > 0) {
    const buffer = Buffer.allocUnsafe(Math.min(CHUNK, left));
    const { bytesRead } = await handle.read(buffer, 0, buffer.length);
    const data = bytesRead === 0 ? buffer.fill(0) : buffer.subarray(0, bytesRead);
    left -= data.length;
    progress.bytes += data.length;
    yield data;
  }
  const rest = stat.size % BLOCK;
  if (rest > 0) yield Buffer.alloc(BLOCK - rest);
}

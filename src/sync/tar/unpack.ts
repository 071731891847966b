import { constants } from "node:fs";
import { link, lstat, mkdir, open, symlink, unlink } from "node:fs/promises";
import { SandboxerError } from "../../contract/errors.ts";
import { write } from "./drain.ts";
import { partsOf, stays } from "./names.ts";
import { readTar, type ReadEntry } from "../../tar/read.ts";

export interface UnpackLimits {
  readonly entries: number;
  readonly bytes: number;
}

/** Bounds that no honest copy meets: an endless tar fills no disk. */
export const UNPACK_LIMITS: UnpackLimits = { entries: 1_000_000, bytes: 64 * 1024 ** 3 };

export interface UnpackProgress {
  entries: number;
  bytes: number;
  /** What was not unpacked, and why. */
  refused: { name: string; reason: string }[];
}

const MAX_REFUSALS = 1000;

/**
 * Unpacks a tar that came out of a sandbox: hostile input. Everything lands below `root` or is refused by name:
 * absolute paths, `..`, symlinks that point outside, hard links to anything but a file below `root`, devices, FIFOs,
 * sparse and unknown entries. No symlink is followed on the way, whether the tar made it or it was there; what stands
 * in the way of a file is replaced, a directory never. Set-id and sticky bits and owners are not taken over.
 *
 * Throws `output_limit` at a limit and `internal` on what is no tar; what was unpacked until then stays.
 */
export async function unpackTar(
  source: AsyncIterable<Uint8Array>,
  root: string,
  progress: UnpackProgress,
  limits: UnpackLimits = UNPACK_LIMITS,
): Promise<void> {
  const base = Buffer.from(root);
  try {
    for await (const entry of readTar(source)) {
      if (++progress.entries > limits.entries) throw tooMuch(`more than ${limits.entries} entries`);
      const reason = await place(base, entry, progress, limits);
      if (reason === undefined) continue;
      progress.refused.push({ name: Buffer.from(entry.name.replace(/^\.\//, ""), "latin1").toString(), reason });
      if (progress.refused.length > MAX_REFUSALS) throw tooMuch(`more than ${MAX_REFUSALS} refused entries`);
    }
  } catch (thrown) {
    if (thrown instanceof RangeError)
      throw new SandboxerError("internal", `the sandbox sent a broken tar: ${thrown.message}`, {
        phase: "unpack",
        hint: "Copy again; where it happens again, copy a smaller part.",
        cause: thrown,
      });
    throw thrown;
  }
}

function tooMuch(what: string): SandboxerError {
  return new SandboxerError("output_limit", `the tree is too large to copy out: ${what}`, {
    phase: "unpack",
    hint: "Copy a part of it, or raise the limit with --max-size.",
  });
}

/** Puts one entry where it belongs. Answers why not, where it is refused. */
async function place(base: Buffer, entry: ReadEntry, progress: UnpackProgress, limits: UnpackLimits): Promise<string | undefined> {
  const parts = partsOf(entry.name);
  if (typeof parts === "string") return parts;
  const parent = await enter(base, parts.slice(0, -1));
  if (parent === undefined) return "a part of its path is not a directory";
  const last = parts.at(-1);
  if (last === undefined) return entry.type === "directory" ? undefined : "it has no name";
  const path = join(parent, last);
  switch (entry.type) {
    case "directory":
      return (await enter(parent, [last])) === undefined ? "something that is not a directory is in its place" : undefined;
    case "symlink":
      if (!stays(entry.link, parts.length - 1))
        return `it is a symlink to "${Buffer.from(entry.link, "latin1").toString()}", which leads or may lead out of the target`;
      if (!(await clear(path))) return "a directory is in its place";
      await symlink(Buffer.from(entry.link, "latin1"), path);
      return undefined;
    case "hardlink":
      return hardlink(base, entry.link, path);
    case "file":
      if (progress.bytes + entry.size > limits.bytes) throw tooMuch(`more than ${limits.bytes} bytes`);
      if (!(await clear(path))) return "a directory is in its place";
      await file(path, entry, progress);
      return undefined;
    case "char_device":
    case "block_device":
    case "fifo":
    case "other":
      break;
  }
  return `entries of its kind (${entry.type.replace("_", " ")}) are not copied`;
}

/** Goes down from a directory that is known to be real, making what is missing. undefined where a part is no directory; a symlink is none. */
async function enter(base: Buffer, parts: readonly Buffer[]): Promise<Buffer | undefined> {
  let path = base;
  for (const part of parts) {
    path = join(path, part);
    const stat = await lstatOrNone(path);
    if (stat === undefined) await mkdir(path, { mode: 0o755 });
    else if (!stat.isDirectory()) return undefined;
  }
  return path;
}

async function hardlink(base: Buffer, target: string, path: Buffer): Promise<string | undefined> {
  const parts = partsOf(target);
  if (typeof parts === "string") return `it is a hard link, and of its target: ${parts}`;
  let from = base;
  for (const [i, part] of parts.entries()) {
    from = join(from, part);
    const stat = await lstatOrNone(from);
    const fits = i === parts.length - 1 ? stat?.isFile() : stat?.isDirectory();
    if (fits !== true) return "it is a hard link to something that is not a file of the target";
  }
  if (parts.length === 0 || from.equals(path)) return "it is a hard link to itself";
  if (!(await clear(path))) return "a directory is in its place";
  await link(from, path);
  return undefined;
}

/** Takes away what is not a directory. False where a directory is there. */
async function clear(path: Buffer): Promise<boolean> {
  const stat = await lstatOrNone(path);
  if (stat?.isDirectory() === true) return false;
  if (stat !== undefined) await unlink(path);
  return true;
}

async function file(path: Buffer, entry: ReadEntry, progress: UnpackProgress): Promise<void> {
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
  await using handle = await open(path, flags, 0o600);
  for await (const chunk of entry.content) {
    await write(handle, chunk);
    progress.bytes += chunk.length;
  }
  await handle.chmod(entry.mode & 0o777);
  await handle.utimes(entry.mtime, entry.mtime);
}

async function lstatOrNone(path: Buffer) {
  try {
    return await lstat(path);
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw thrown;
  }
}

function join(directory: Buffer, name: Buffer): Buffer {
  return Buffer.concat([directory, Buffer.from("/"), name]);
}

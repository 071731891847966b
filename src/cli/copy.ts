import { createReadStream } from "node:fs";
import { lstat, mkdir, stat } from "node:fs/promises";
import { basename, join, posix } from "node:path";
import { SandboxerError } from "../contract/errors.ts";
import { pathFromBytes } from "../contract/path.ts";
import type { Sandbox } from "../sdk/index.ts";
import { usageError } from "./failure.ts";
import { copyFileOut } from "./file-out.ts";
import { note } from "./print.ts";
import { showProgress } from "./progress.ts";
import { UNPACK_LIMITS, unpackTar, type UnpackProgress } from "../sync/tar/unpack.ts";
import { writeTar, type WriteProgress } from "../sync/tar/write.ts";

export interface CopyOptions {
  readonly signal?: AbortSignal;
  /** No progress line. */
  readonly quiet?: boolean;
  /** Most bytes to take out of a sandbox. */
  readonly maxBytes?: number;
}

/** What was copied. */
export interface Copied {
  readonly entries: number;
  readonly bytes: number;
  readonly refused: readonly { name: string; reason: string }[];
}

/** `SRC:DST` of `run --copy`. The last colon parts them, so that SRC may hold one. */
export function readCopy(text: string): { source: string; target: string } {
  const at = text.lastIndexOf(":");
  if (at <= 0 || at === text.length - 1) throw usageError("run", `--copy must be SRC:DST; got "${text}"`);
  return { source: text.slice(0, at), target: text.slice(at + 1) };
}

/**
 * A host file or tree into a sandbox, as `cp -r` would: into `target` where that is a directory, else as `target`.
 * `SRC/.` copies what is in SRC.
 */
export async function copyIn(sandbox: Sandbox, source: string, target: string, options: CopyOptions): Promise<Copied> {
  const signal = options.signal === undefined ? {} : { signal: options.signal };
  const from = await hostStat(source);
  const place = await targetInside(sandbox, source, target);
  const progress: WriteProgress = { entries: 0, bytes: 0, skipped: [] };
  using shown = showProgress(progress, options.quiet === true);
  if (from.isDirectory()) {
    await sandbox.files.mkdir(place);
    await sandbox.files.upload(place, shown.watch(writeTar(source, progress)), signal);
  } else if (from.isFile()) {
    progress.entries = 1;
    const mode = (from.mode & 0o777).toString(8).padStart(4, "0");
    await sandbox.files.write(place, shown.count(createReadStream(source, { highWaterMark: 256 * 1024 })), { mode, ...signal });
  } else
    throw new SandboxerError("invalid_request", `${source} is neither a file nor a directory`, {
      phase: "copy",
      hint: "Copy a file or a directory.",
    });
  return {
    entries: progress.entries,
    bytes: progress.bytes,
    refused: progress.skipped.map((name) => ({ name, reason: "it is neither a file, a directory nor a symlink" })),
  };
}

/** A file or tree out of a sandbox onto the host. What comes is hostile input: see unpackTar. */
export async function copyOut(sandbox: Sandbox, source: string, target: string, options: CopyOptions): Promise<Copied> {
  const signal = options.signal === undefined ? {} : { signal: options.signal };
  const limits = { ...UNPACK_LIMITS, ...(options.maxBytes === undefined ? {} : { bytes: options.maxBytes }) };
  const { type } = await sandbox.files.stat(source);
  const there = await isDirectory(target);
  const name = posix.basename(source);
  const contents = source.endsWith("/.") || name === "." || name === "" || name === "..";
  const place = there && !contents ? join(target, name) : target;
  const progress: UnpackProgress = { entries: 0, bytes: 0, refused: [] };
  using shown = showProgress(progress, options.quiet === true);
  if (type === "directory") {
    await makeRoot(place);
    const body = await sandbox.files.download(source, signal);
    await unpackTar(shown.watch(body), place, progress, limits);
  } else {
    progress.entries = 1;
    const body = await sandbox.files.readStream(source, signal);
    await copyFileOut(shown.count(body), place, limits.bytes);
  }
  return progress;
}

/** Says what was left out. */
export function reportRefused(refused: Copied["refused"]): void {
  for (const { name, reason } of refused.slice(0, 10)) note(`not copied: ${name}: ${reason}`);
  if (refused.length > 10) note(`not copied: ${refused.length - 10} more`);
}

async function hostStat(path: string) {
  try {
    return await stat(path);
  } catch (cause) {
    throw new SandboxerError("file_not_found", `cannot read ${path} (${(cause as NodeJS.ErrnoException).code ?? "unknown"})`, {
      phase: "copy",
      hint: "Check the path on this machine.",
      cause,
    });
  }
}

async function targetInside(sandbox: Sandbox, source: string, target: string): Promise<string> {
  const path = pathFromBytes(Buffer.from(target));
  if (source.endsWith("/.") || source === ".") return path;
  if (target.endsWith("/")) return posix.join(path, basename(source));
  try {
    return (await sandbox.files.stat(path)).type === "directory" ? posix.join(path, basename(source)) : path;
  } catch (thrown) {
    if (thrown instanceof SandboxerError && thrown.code === "file_not_found") return path;
    throw thrown;
  }
}

async function isDirectory(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw thrown;
  }
}

/** The directory that is unpacked into; the user's own word is trusted as far as it stands there already. */
async function makeRoot(place: string): Promise<void> {
  try {
    await mkdir(place);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === "EEXIST" && (await lstat(place)).isDirectory()) return;
    throw new SandboxerError("file_conflict", `cannot make the directory ${place} (${code ?? "unknown"})`, {
      phase: "copy",
      hint: "Name a directory that exists, or a new one in one that exists.",
      cause,
    });
  }
}

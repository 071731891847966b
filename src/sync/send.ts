import { createHash } from "node:crypto";
import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { SandboxerError } from "../contract/errors.ts";
import { pathToBytes } from "../contract/path.ts";
import { type Found, identityOf, MODE, plain, systemPath } from "./entry.ts";
import { foundAt } from "./here.ts";
import { BLOCK, encodeHeader } from "../tar/header.ts";

const CHUNK = 256 * 1024;

/** What went, as it was when it was read. */
export interface Sent {
  readonly look: string;
  readonly held: string;
  readonly hash: string;
  readonly size: number;
}

const latin1 = (text: string) => Buffer.from(pathToBytes(text)).toString("latin1");

/**
 * Entries as a tar, and what was in them as they were read. A file that went meanwhile is left out; one that is written while it is
 * read goes as far as it was announced, and the next sync sends it again.
 */
export async function* tarOf(
  root: string,
  entries: readonly { path: string; found: Found }[],
  sent: Map<string, Sent>,
): AsyncGenerator<Buffer> {
  // Small files go together: a chunk of its own for each costs more than to read it.
  let parts: Buffer[] = [];
  let size = 0;
  for (const { path, found } of entries) {
    for (const part of found.type === "f" ? file(root, path, sent) : [link(path, found, sent)]) {
      parts.push(part);
      size += part.length;
      if (size < CHUNK) continue;
      yield Buffer.concat(parts);
      [parts, size] = [[], 0];
    }
  }
  yield Buffer.concat([...parts, Buffer.alloc(2 * BLOCK)]);
}

/** A directory or a symlink. */
function link(path: string, found: Found, sent: Map<string, Sent>): Buffer {
  sent.set(path, { look: found.look, held: identityOf(found, ""), hash: "", size: 0 });
  const header = { mode: found.mode, mtime: Date.now() / 1000, size: 0 };
  return found.type === "d"
    ? encodeHeader({ ...header, name: `${latin1(path)}/`, flag: "5", link: "" })
    : encodeHeader({ ...header, name: latin1(path), flag: "2", link: latin1(found.target) });
}

function* file(root: string, path: string, sent: Map<string, Sent>): Generator<Buffer> {
  const place = systemPath(`${root}/${path}`);
  const fd = openFile(place);
  if (fd === undefined) return;
  try {
    const stat = fstatSync(fd);
    if (!stat.isFile()) return;
    const mode = stat.mode & MODE;
    yield encodeHeader({ name: latin1(path), flag: "0", mode, mtime: stat.mtimeMs / 1000, size: stat.size, link: "" });
    const hash = createHash("sha256");
    let left = stat.size;
    while (left > 0) {
      const buffer = Buffer.allocUnsafe(Math.min(CHUNK, left));
      const count = readSync(fd, buffer, 0, buffer.length, null);
      const data = count === 0 ? buffer.fill(0) : buffer.subarray(0, count);
      left -= data.length;
      hash.update(data);
      yield data;
    }
    const rest = stat.size % BLOCK;
    if (rest > 0) yield Buffer.alloc(BLOCK - rest);
    const digest = hash.digest("hex");
    const after = fstatSync(fd);
    const { look: seen } = foundAt(stat, place, Date.now());
    const look = after.ctimeMs === stat.ctimeMs && after.size === stat.size ? seen : `?${plain(seen)}`;
    sent.set(path, { look, held: identityOf({ type: "f", mode, target: "" }, digest), hash: digest, size: stat.size });
  } finally {
    closeSync(fd);
  }
}

function openFile(place: string | Buffer): number | undefined {
  try {
    return openSync(place, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (cause) {
    const { code = "unknown" } = cause as NodeJS.ErrnoException;
    // Gone, or a symlink by now: the next sync sees it.
    if (code === "ENOENT" || code === "ELOOP") return undefined;
    throw new SandboxerError("file_denied", `cannot read ${String(place)} here (${code})`, {
      phase: "sync",
      hint: "Make it readable, or ignore it.",
      cause,
    });
  }
}

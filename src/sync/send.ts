import { createHash } from "node:crypto";
import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { SandboxerError } from "../contract/errors.ts";
import { pathToBytes } from "../contract/path.ts";
import { type Found, identityOf, MODE, plain, systemPath } from "./entry.ts";
import { foundAt } from "./here.ts";
import { BLOCK, encodeHeader } from "./tar/header.ts";

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
  for (const { path, found } of entries) {
    const name = latin1(path);
    const header = { mode: found.mode, mtime: Date.now() / 1000, size: 0, link: "" };
    if (found.type === "f") {
      yield* file(root, path, name, sent);
      continue;
    }
    const held = identityOf(found, "");
    sent.set(path, { look: found.look, held, hash: "", size: 0 });
    yield found.type === "d"
      ? encodeHeader({ ...header, name: `${name}/`, flag: "5" })
      : encodeHeader({ ...header, name, flag: "2", link: latin1(found.target) });
  }
  yield Buffer.alloc(2 * BLOCK);
}

async function* file(root: string, path: string, name: string, sent: Map<string, Sent>): AsyncGenerator<Buffer> {
  const place = systemPath(`${root}/${path}`);
  await using handle = await openFile(place);
  if (handle === undefined) return;
  const stat = await handle.stat();
  if (!stat.isFile()) return;
  const mode = stat.mode & MODE;
  yield encodeHeader({ name, flag: "0", mode, mtime: stat.mtimeMs / 1000, size: stat.size, link: "" });
  const hash = createHash("sha256");
  let left = stat.size;
  while (left > 0) {
    const buffer = Buffer.allocUnsafe(Math.min(CHUNK, left));
    const { bytesRead } = await handle.read(buffer, 0, buffer.length);
    const data = bytesRead === 0 ? buffer.fill(0) : buffer.subarray(0, bytesRead);
    left -= data.length;
    hash.update(data);
    yield data;
  }
  const rest = stat.size % BLOCK;
  if (rest > 0) yield Buffer.alloc(BLOCK - rest);
  const digest = hash.digest("hex");
  const after = await handle.stat();
  const steady = after.ctimeMs === stat.ctimeMs && after.size === stat.size;
  const { look: seen } = foundAt(stat, place, Date.now());
  const look = steady ? seen : `?${plain(seen)}`;
  sent.set(path, { look, held: identityOf({ type: "f", mode, target: "" }, digest), hash: digest, size: stat.size });
}

async function openFile(place: string | Buffer) {
  try {
    return await open(place, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
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

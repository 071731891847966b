import { constants, closeSync, fstatSync, fsyncSync, linkSync, openSync, readSync, rmSync, writeSync } from "node:fs";
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { SandboxerError } from "../../contract/index.ts";

const KEY_BYTES = 32;
/** Long enough for a key in either form and its line end; a longer file is not a key. */
const MAX_TEXT = 256;

/** Names the variable that, where it is set, holds the key instead of the file. */
export const KEY_VARIABLE = "SANDBOXER_SECRETS_KEY";

/** Where a data directory's key stands unless the environment holds it. */
export function keyFile(dataDirectory: string): string {
  return join(dataDirectory, "secrets.key");
}

/**
 * The key that values are sealed with, 32 bytes: from the environment, or from the data directory's file, which the first
 * use makes (0600, synced before anything can be sealed with it).
 *
 * @throws SandboxerError `secret_unavailable`: not a key, or the file may be read by others or belongs to someone else.
 */
export function loadKey(dataDirectory: string, env: Readonly<Record<string, string | undefined>>): Buffer {
  const given = env[KEY_VARIABLE];
  if (given !== undefined) return decode(given, KEY_VARIABLE);
  const path = keyFile(dataDirectory);
  return readKey(path) ?? makeKey(dataDirectory, path);
}

function decode(text: string, where: string): Buffer {
  const trimmed = text.trim();
  if (/^[0-9a-fA-F]{64}$/.test(trimmed)) return Buffer.from(trimmed, "hex");
  if (/^[A-Za-z0-9+/_-]{43}=?$/.test(trimmed)) return Buffer.from(trimmed, "base64");
  throw unavailable(`${where} is not a key: 32 bytes in base64 or hex are needed`);
}

function readKey(path: string): Buffer | undefined {
  let file: number;
  try {
    file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (thrown) {
    const code = codeOf(thrown);
    if (code === "ENOENT") return undefined;
    throw unavailable(code === "ELOOP" ? `${path} is a symbolic link` : `${path} cannot be read (${code ?? "unknown"})`, thrown);
  }
  try {
    const { mode, uid, size } = fstatSync(file);
    if ((mode & constants.S_IFMT) !== constants.S_IFREG) throw unavailable(`${path} is not a file`);
    if ((mode & 0o077) !== 0) throw unavailable(`${path} may be read by others; make it 0600, and think of the key as known`);
    if (uid !== process.geteuid?.() && uid !== 0) throw unavailable(`${path} belongs to another user (${uid})`);
    if (size > MAX_TEXT) throw unavailable(`${path} is not a key: it is too long`);
    const buffer = Buffer.alloc(MAX_TEXT);
    return decode(buffer.toString("latin1", 0, readSync(file, buffer, 0, MAX_TEXT, 0)), path);
  } finally {
    closeSync(file);
  }
}

/** Written whole under another name and linked into place: no process ever reads half a key, and the first one's holds. */
function makeKey(directory: string, path: string): Buffer {
  const draft = `${path}.new-${randomBytes(6).toString("hex")}`;
  try {
    synced(draft, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, `${randomBytes(KEY_BYTES).toString("base64")}\n`);
    linkSync(draft, path);
    synced(directory, constants.O_RDONLY | constants.O_DIRECTORY);
  } catch (thrown) {
    if (codeOf(thrown) !== "EEXIST") throw unavailable(`${path} cannot be made (${codeOf(thrown) ?? "unknown"})`, thrown);
  } finally {
    rmSync(draft, { force: true });
  }
  const made = readKey(path);
  if (made === undefined) throw unavailable(`${path} is gone again after it was made`);
  return made;
}

function synced(path: string, flags: number, text?: string): void {
  const file = openSync(path, flags, 0o600);
  try {
    if (text !== undefined) writeSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

function codeOf(thrown: unknown): string | undefined {
  return thrown instanceof Error && "code" in thrown ? String(thrown.code) : undefined;
}

function unavailable(message: string, cause?: unknown): SandboxerError {
  return new SandboxerError("secret_unavailable", message, { phase: "key", ...(cause === undefined ? {} : { cause }) });
}

import { randomBytes } from "node:crypto";
import { linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { SandboxerError } from "../contract/index.ts";

const BYTES = 32;

/**
 * The secret that a data directory's tokens of one kind are made with, in `e2b/secret` or `preview/secret` with mode 0600. Made when it is first asked
 * for; of two processes that make it at once, one wins and both use that one. Whoever removes the file makes all tokens
 * that were given out void.
 *
 * @throws SandboxerError `storage_unavailable` where it cannot be read or written, or is cut short.
 */
export function tokenSecret(dataDir: string, room: "e2b" | "preview"): Uint8Array {
  const path = join(dataDir, room, "secret");
  try {
    return read(path) ?? make(path, join(dataDir, room));
  } catch (cause) {
    if (cause instanceof SandboxerError || !(cause instanceof Error && "code" in cause)) throw cause;
    throw new SandboxerError("storage_unavailable", `the token secret ${path} cannot be used (${String(cause.code)})`, {
      phase: "open",
      cause,
    });
  }
}

function make(path: string, directory: string): Uint8Array {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const draft = `${path}.new-${process.pid}`;
  try {
    writeFileSync(draft, `${randomBytes(BYTES).toString("hex")}\n`, { mode: 0o600, flush: true });
    linkSync(draft, path);
  } catch (thrown) {
    // Another process was first: its secret holds.
    if (!(thrown instanceof Error && "code" in thrown && thrown.code === "EEXIST")) throw thrown;
  } finally {
    rmSync(draft, { force: true });
  }
  const made = read(path);
  if (made === undefined) throw new SandboxerError("storage_unavailable", `${path} was removed as soon as it was made`, { phase: "open" });
  return made;
}

function read(path: string): Uint8Array | undefined {
  try {
    const text = readFileSync(path, "utf8").trim();
    // A short secret would still make tokens that look right.
    if (!/^[0-9a-f]{64}$/.test(text)) {
      throw new SandboxerError("storage_unavailable", `${path} is not a token secret: ${2 * BYTES} hexadecimal digits are expected`, {
        phase: "open",
        hint: "Remove it: a new one is made, and tokens that were given out before are void.",
      });
    }
    return Buffer.from(text, "hex");
  } catch (thrown) {
    if (thrown instanceof Error && "code" in thrown && thrown.code === "ENOENT") return undefined;
    throw thrown;
  }
}

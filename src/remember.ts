import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { version } from "./cli/version.ts";
import type { Remember } from "./engine/shipped-profiles.ts";

/**
 * Keeps what a text was made into as JSON, under the hash of the text and of our version. The shipped profiles are read at every
 * start, and to load a YAML parser and check them takes a tenth of a short command's whole time. Only this account can write to
 * the directory.
 */
export function rememberingIn(directory: string): Remember {
  return (text, make) => {
    const path = join(directory, `${createHash("sha256").update(`${version()}\0${text}`).digest("hex")}.json`);
    type Made = ReturnType<typeof make>;
    try {
      return JSON.parse(readFileSync(path, "utf8")) as Made;
    } catch (thrown) {
      // Not there yet, or cut short by a crash: made anew.
      if (!(thrown instanceof SyntaxError) && !hasErrno(thrown)) throw thrown;
    }
    const made = make();
    try {
      mkdirSync(directory, { recursive: true, mode: 0o700 });
      writeFileSync(`${path}.${process.pid}`, JSON.stringify(made), { mode: 0o600 });
      renameSync(`${path}.${process.pid}`, path);
    } catch (thrown) {
      // A full or read-only disk costs time here and nothing else; what must be written says so itself.
      if (!hasErrno(thrown)) throw thrown;
    }
    return made;
  };
}

function hasErrno(thrown: unknown): boolean {
  return thrown instanceof Error && "errno" in thrown;
}

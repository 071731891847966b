import { spawn } from "node:child_process";
import { createReadStream, statSync } from "node:fs";
import { SandboxerError } from "../contract/errors.ts";

/** What is at a path as one stream: a file as it is, a directory as a tar with its owners by number, `-` for standard input. */
export function archiveAt(path: string): AsyncIterable<Uint8Array> {
  if (path === "-") return process.stdin as AsyncIterable<Uint8Array>;
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined)
    throw new SandboxerError("invalid_request", `there is nothing at ${path}`, { hint: "Name an archive, a directory, or - for standard input." });
  return found.isDirectory() ? tarOf(path) : (createReadStream(path, { highWaterMark: 1024 ** 2 }) as AsyncIterable<Uint8Array>);
} // prettier-ignore

async function* tarOf(directory: string): AsyncGenerator<Uint8Array, void, undefined> {
  const tar = spawn("tar", ["-C", directory, "--numeric-owner", "-cf", "-", "."], { stdio: ["ignore", "pipe", "inherit"] });
  const ended = new Promise<number | null>((resolve, reject) => {
    tar.once("error", (cause) => reject(new SandboxerError("provider_missing_dependency", "tar cannot be started", { cause, hint: "Install GNU tar." })));
    tar.once("exit", resolve);
  }); // prettier-ignore
  ended.catch(() => undefined);
  try {
    yield* tar.stdout as AsyncIterable<Uint8Array>;
    const code = await ended;
    if (code !== 0) throw new SandboxerError("invalid_request", `${directory} cannot be read whole: tar ended with ${code ?? "a signal"}`);
  } finally {
    tar.kill();
  }
}

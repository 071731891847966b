/** What the quickstart copies in: the files under examples/, one of the folders as a real git repository. */
import { execFileSync, spawn } from "node:child_process";
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import type { Sandbox } from "../../src/sdk/index.ts";

const EXAMPLES = join(import.meta.dirname, "../../examples");

/** Path of a file under examples/. */
export function example(...parts: string[]): string {
  return join(EXAMPLES, ...parts);
}

/** A git repository with one commit, made from a folder of examples/. Removed by `using`. */
export function makeRepository(folder: string): { readonly path: string } & Disposable {
  const path = mkdtempSync(join(tmpdir(), "sand-boxer-quickstart-"));
  cpSync(example(folder), path, { recursive: true, filter: (source) => !source.includes("__pycache__") });
  const identity = ["-c", "user.name=quickstart", "-c", "user.email=quickstart@localhost", "-c", "commit.gpgsign=false"];
  const git = (...args: string[]) => execFileSync("git", ["-C", path, ...identity, ...args], { stdio: "pipe" });
  git("init", "--quiet", "--initial-branch=main");
  git("add", "--all");
  git("commit", "--quiet", "--message", "A word counter and its tests");
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

/** Streams a directory into the sandbox as a tar; the directory there is made. */
export async function copyTree(sandbox: Sandbox, from: string, to: string): Promise<void> {
  const tar = spawn("tar", ["--create", "--file=-", `--directory=${from}`, "."], { stdio: ["ignore", "pipe", "inherit"] });
  const ended = new Promise<void>((resolve, reject) => {
    tar.once("error", reject);
    tar.once("close", (code) => (code === 0 ? resolve() : reject(new Error(`tar ended with ${code ?? "a signal"}`))));
  });
  await Promise.all([sandbox.files.upload(to, Readable.toWeb(tar.stdout) as ReadableStream<Uint8Array>), ended]);
}

import { createHash } from "node:crypto";
import { posix } from "node:path";
import { SandboxerError } from "../contract/errors.ts";
import type { FileInfo, Sandbox } from "../sdk/index.ts";
import { type Found, MODE } from "./entry.ts";
import type { Inside, Listing } from "./inside.ts";

const KINDS: Readonly<Record<string, Found["type"]>> = { file: "f", directory: "d", symlink: "l" };

/** How long ago a file must have been changed for its time, in steps of a millisecond or a second, to say that it was not since. */
const RACY_MS = 2000;

/** As deep as the API lists. */
const DEEPEST = 64;

/**
 * By the files API alone, for images without GNU programs: a call for each file that is read, hashed or removed. A change that keeps
 * size and time is not seen.
 */
export class InsideByFiles implements Inside {
  readonly #sandbox: Sandbox;
  readonly #directory: string;
  readonly #signal: { signal?: AbortSignal };

  constructor(sandbox: Sandbox, directory: string, signal: AbortSignal | undefined) {
    this.#sandbox = sandbox;
    this.#directory = directory;
    this.#signal = signal === undefined ? {} : { signal };
  }

  async list(_last: string, git: boolean): Promise<Listing> {
    const { files } = this.#sandbox;
    await files.mkdir(this.#directory);
    const { path: root } = await files.stat(this.#directory);
    const all = new Map<string, Found>();
    const now = Date.now();
    for (const info of await files.list(this.#directory, { depth: DEEPEST })) {
      const path = posix.relative(root, info.path);
      if (info.type === "directory" && path.split("/").length >= DEEPEST)
        throw new SandboxerError("output_limit", `directories inside are more than ${DEEPEST} deep, at ${path}`, { phase: "sync" });
      if (!git && path.split("/").includes(".git")) continue;
      all.set(path, foundOf(info, now));
    }
    return { name: "", all };
  }

  async looks(paths: readonly string[]): Promise<Map<string, Found>> {
    const found = new Map<string, Found>();
    for (const path of paths) {
      const info = await this.#unless(path, () => this.#sandbox.files.stat(this.#at(path)));
      if (info !== undefined) found.set(path, foundOf(info, Date.now()));
    }
    return found;
  }

  async hashes(paths: readonly string[]): Promise<Map<string, string>> {
    const found = new Map<string, string>();
    for await (const { path, content } of this.fetch(paths)) {
      const hash = createHash("sha256");
      for await (const chunk of content) hash.update(chunk);
      found.set(path, hash.digest("hex"));
    }
    return found;
  }

  async remove(files: readonly string[], directories: readonly string[]): Promise<void> {
    for (const path of [...files, ...directories])
      await this.#unless(path, () => this.#sandbox.files.remove(this.#at(path)), "file_conflict");
  }

  async *fetch(paths: readonly string[]): AsyncGenerator<{ path: string; content: AsyncIterable<Uint8Array> }> {
    for (const path of paths) {
      const content = await this.#unless(path, () => this.#sandbox.files.readStream(this.#at(path), this.#signal));
      if (content !== undefined) yield { path, content };
    }
  }

  #at(path: string): string {
    return `${this.#directory}/${path}`;
  }

  /** undefined where it is gone meanwhile, or for the other reason that is named. */
  async #unless<T>(path: string, work: () => Promise<T>, also?: "file_conflict"): Promise<T | undefined> {
    try {
      return await work();
    } catch (thrown) {
      if (thrown instanceof SandboxerError && (thrown.code === "file_not_found" || thrown.code === also)) return undefined;
      throw SandboxerError.from(thrown, { phase: `sync ${path}` });
    }
  }
}

function foundOf(info: FileInfo, now: number): Found {
  const type = KINDS[info.type] ?? "x";
  const mode = Number.parseInt(info.mode, 8) & MODE;
  const target = info.target ?? "";
  if (type === "l") return { type, mode: MODE, size: 0, look: `l ${target}`, target };
  if (type !== "f") return { type, mode, size: 0, look: type === "d" ? `d ${info.mode}` : "x", target: "" };
  const racy = Date.parse(info.modified_at) > now - RACY_MS ? "?" : "";
  return { type, mode, size: info.size, look: `${racy}f ${info.mode} ${info.size} ${info.modified_at}`, target: "" };
}

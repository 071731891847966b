import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import ignore, { type Ignore } from "ignore";
import { parentOf } from "./entry.ts";

/** In this order: what is said later, and what is said deeper, wins. */
const FILES = [".gitignore", ".sandboxerignore"];

/** Which paths do not travel, by the ignore files of here. Directories are asked before what is in them. */
export class Rules {
  readonly #git: boolean;
  readonly #honoured: boolean;
  readonly #matchers = new Map<string, Ignore>();
  readonly #digest = createHash("sha256");
  #text = "";

  constructor({ git = false, ignoreFiles = true }: { git?: boolean | undefined; ignoreFiles?: boolean | undefined }) {
    this.#git = git;
    this.#honoured = ignoreFiles;
    this.#digest.update(JSON.stringify([git, ignoreFiles]));
  }

  /** Reads the ignore files of a directory, by the names that are in it. */
  enter(root: string, directory: string, names: ReadonlySet<string> | readonly string[]): void {
    if (!this.#honoured) return;
    const all = names instanceof Set ? names : undefined;
    for (const file of FILES) {
      if (all === undefined ? !(names as readonly string[]).includes(file) : !all.has(file)) continue;
      const text = readFileSync(`${root}/${directory === "" ? "" : `${directory}/`}${file}`, "utf8");
      const matcher = this.#matchers.get(directory) ?? ignore({ ignorecase: false });
      this.#matchers.set(directory, matcher.add(text));
      this.#digest.update(JSON.stringify([directory, file, text]));
    }
  }

  /** Names all that was read, once everything was. */
  get digest(): string {
    if (this.#text === "") this.#text = this.#digest.digest("base64");
    return this.#text;
  }

  /** Of a path whose parents are not ignored. */
  ignores(path: string, isDirectory: boolean): boolean {
    if (!this.#git && (path === ".git" || path.endsWith("/.git"))) return true;
    if (this.#matchers.size === 0) return false;
    for (let directory = parentOf(path); ; directory = parentOf(directory)) {
      const matcher = this.#matchers.get(directory);
      if (matcher !== undefined) {
        const relative = directory === "" ? path : path.slice(directory.length + 1);
        const { ignored, unignored } = matcher.test(isDirectory ? `${relative}/` : relative);
        if (ignored) return true;
        if (unignored) return false;
      }
      if (directory === "") return false;
    }
  }
}

/** What a pull never puts here: git runs what stands there, and whoever works here runs git. */
export function runByGit(path: string): boolean {
  return /(^|\/)\.git\/(.*\/)?(hooks(\/|$)|config(\.worktree)?$)/i.test(path);
}

import { statSync } from "node:fs";
import { dirname } from "node:path";

/** A directory on the way that others may not pass through. */
export interface Blocked {
  readonly path: string;
  readonly mode: number;
}

/** "Others may enter": the sandbox's own root is an unprivileged user of the host, and the mounts are its to make. */
const ENTER = 0o001;

/** The outermost directory on the way to `directory` that keeps others out; undefined where the way is free. */
export function blockedPassage(directory: string): Blocked | undefined {
  const ways: string[] = [];
  for (let at = directory; ; at = dirname(at)) {
    ways.unshift(at);
    if (at === dirname(at)) break;
  }
  for (const path of ways) {
    const mode = statSync(path, { throwIfNoEntry: false })?.mode;
    if (mode !== undefined && (mode & ENTER) === 0) return { path, mode: mode & 0o7777 };
  }
  return undefined;
}

export function explainPassage({ path, mode }: Blocked): string {
  return `${path} (mode 0${mode.toString(8)}) keeps out the users that sandboxes run as; they must be able to pass through it: chmod o+x ${path}, or put the data directory elsewhere`;
}

import { constants, lstatSync, readdirSync, readlinkSync } from "node:fs";
import type { Stats } from "node:fs";
import { pathFromBytes } from "../contract/path.ts";
import { SandboxerError } from "../contract/errors.ts";
import { type Found, MODE, systemPath } from "./entry.ts";
import type { Rules } from "./rules.ts";

const { S_IFMT, S_IFREG, S_IFDIR, S_IFLNK } = constants;

/** A file that was changed less than this before a look, in ms, may be changed again without any trace that a look sees. */
const RACY_MS = 50;

/** Entries between two breaths of everybody else in this process. */
const AT_ONCE = 5000;

function problem(path: string, cause: unknown): SandboxerError {
  const { code = "unknown" } = cause as NodeJS.ErrnoException;
  return new SandboxerError(code === "ENOENT" ? "file_not_found" : "file_denied", `cannot look at ${path} here (${code})`, {
    phase: "sync",
    hint: "What cannot be read would look removed, so nothing was synced: make it readable, or ignore it in .sandboxerignore.",
    cause,
  });
}

/** Names in a directory; those that are not UTF-8 as contract/path has them. */
function namesIn(path: string | Buffer): string[] {
  const names = readdirSync(path);
  return names.some((name) => name.includes("\ufffd")) ? readdirSync(path, { encoding: "buffer" }).map(pathFromBytes) : names;
}

/** Modes as text: the same few, thousands of times. */
const OCTAL = Array.from({ length: MODE + 1 }, (_, mode) => mode.toString(8));

/** A time as text, to the microsecond. In two small numbers: a large one takes ten times as long. */
function timeText(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  return `${seconds}.${Math.round((ms - seconds * 1000) * 1000)}`;
}

/** What a look at a path says, at a time in ms. */
export function foundAt(stat: Stats, path: string | Buffer, now: number): Found {
  const mode = stat.mode & MODE;
  const kind = stat.mode & S_IFMT;
  if (kind === S_IFREG) {
    const { ctimeMs, mtimeMs, size } = stat;
    const changed = timeText(ctimeMs);
    const written = mtimeMs === ctimeMs ? changed : timeText(mtimeMs);
    const look = `${ctimeMs > now - RACY_MS ? "?" : ""}f ${OCTAL[mode]} ${size} ${written} ${changed} ${stat.ino}`;
    return { type: "f", mode, size, look, target: "" };
  }
  if (kind === S_IFDIR) return { type: "d", mode, size: 0, look: `d ${OCTAL[mode]}`, target: "" };
  if (kind !== S_IFLNK) return { type: "x", mode, size: 0, look: "x", target: "" };
  const target = pathFromBytes(readlinkSync(path, { encoding: "buffer" }));
  return { type: "l", mode: MODE, size: 0, look: `l ${target}`, target };
}

/**
 * Looks at everything below a directory that is not ignored: a stat each, in one go, since that is what an unchanged tree costs. What
 * goes away meanwhile is not there; what cannot be read is an error.
 */
export async function lookHere(root: string, rules: Rules, passed: (path: string) => boolean): Promise<Map<string, Found>> {
  const entries = new Map<string, Found>();
  const now = Date.now();
  let count = 0;
  const directories = [""];
  for (let directory = directories.pop(); directory !== undefined; directory = directories.pop()) {
    const prefix = directory === "" ? "" : `${directory}/`;
    let names: string[];
    try {
      names = namesIn(systemPath(`${root}/${directory}`));
    } catch (thrown) {
      if (directory !== "" && (thrown as NodeJS.ErrnoException).code === "ENOENT") continue;
      throw problem(`${root}/${directory}`, thrown);
    }
    rules.enter(root, directory, names);
    for (const name of names) {
      if (++count % AT_ONCE === 0) await new Promise(setImmediate);
      const path = prefix + name;
      const place = systemPath(`${root}/${path}`);
      const stat = lstatSync(place, { throwIfNoEntry: false });
      if (stat === undefined) continue;
      const isDirectory = stat.isDirectory();
      if (!passed(path) && rules.ignores(path, isDirectory)) continue;
      entries.set(path, foundAt(stat, place, now));
      if (isDirectory) directories.push(path);
    }
  }
  return entries;
}

import { lstatSync, readFileSync, type Stats } from "node:fs";
import { join } from "node:path";
import type { ImageConfig } from "./manifest.ts";
import { refused } from "./limits.ts";

/** A user that the image knows by name. */
export interface ImageUser {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
}

/** What an image says of the commands that run in it. Kept with each sandbox, which outlives the image's name. */
export interface Inside {
  readonly user: { readonly uid: number; readonly gid: number };
  readonly home: string;
  /** undefined: it says none. */
  readonly workdir?: string;
  readonly env: Readonly<Record<string, string>>;
  readonly users: readonly ImageUser[];
}

/** Who runs commands where the image says nobody, or root: the user that sandboxes have everywhere. */
export const DEFAULT_USER = { uid: 1000, gid: 1000 };
export const DEFAULT_HOME = "/home/sandbox";

/** Larger ones are no lists of users. */
const LIST_BYTES = 1024 ** 2;
const MAX_USERS = 1000;

/** Ids from here on are the kernel's own for "nobody", or no sandbox's. */
const LAST_ID = 65_533;

/**
 * Reads an image's configuration against what is in it. Throws `invalid_request` for a user that is neither a number in range nor a
 * name that it has: some runtimes take such a one for root.
 */
export function insideOf(config: ImageConfig["config"], layers: readonly string[]): Inside {
  const users = parseUsers(listIn(layers, "etc/passwd"));
  const user = userOf(config?.User ?? "", users, parseGroups(listIn(layers, "etc/group")));
  const home = users.find(({ uid }) => uid === user.uid)?.home ?? DEFAULT_HOME;
  const workdir = config?.WorkingDir ?? "";
  if (workdir.includes("\0") || workdir.split("/").includes("..")) throw refused("its working directory is not a plain path");
  return {
    user,
    home,
    env: Object.fromEntries((config?.Env ?? []).map((line) => variable(line))),
    users,
    ...(workdir === "" || /^\/+$/.test(workdir) ? {} : { workdir: `/${workdir.split("/").filter((part) => part !== "" && part !== ".").join("/")}` }),
  }; // prettier-ignore
}

function variable(line: string): [string, string] {
  const equals = line.indexOf("=");
  if (equals < 1 || line.includes("\0")) throw refused("one of its variables has no name");
  return [line.slice(0, equals), line.slice(equals + 1)];
}

function userOf(text: string, users: readonly ImageUser[], groups: ReadonlyMap<string, number>): Inside["user"] {
  const [name = "", group] = text.split(":");
  if (name === "" || name === "root" || /^0+$/.test(name)) return DEFAULT_USER;
  const known = users.find((user) => user.name === name);
  const uid = /^\d+$/.test(name) ? Number(name) : known?.uid;
  const gid = group === undefined ? (known?.gid ?? users.find((user) => user.uid === uid)?.gid ?? uid) : /^\d+$/.test(group) ? Number(group) : groups.get(group);
  if (uid === undefined || gid === undefined) throw refused(`its user ${JSON.stringify(text.slice(0, 100))} is not in its /etc/passwd and /etc/group`);
  if (uid < 1 || gid < 1 || uid > LAST_ID || gid > LAST_ID) throw refused(`its user ${JSON.stringify(text.slice(0, 100))} is not from 1 to ${LAST_ID}`);
  return { uid, gid };
} // prettier-ignore

function parseUsers(text: string): ImageUser[] {
  return text
    .split("\n", MAX_USERS)
    .map((line) => line.split(":"))
    .filter(
      ([name = "", , uid = "", gid = ""]) => /^[a-z_][a-z0-9_.-]{0,31}$/i.test(name) && /^\d{1,9}$/.test(uid) && /^\d{1,9}$/.test(gid),
    )
    .map(([name = "", , uid, gid, , home = ""]) => ({
      name,
      uid: Number(uid),
      gid: Number(gid),
      home: isHome(home) ? home : DEFAULT_HOME,
    }));
}

/** A home that is to be one. */
function isHome(path: string): boolean {
  return /^\/[^\0]+$/.test(path) && !path.split("/").includes("..") && path !== "/nonexistent" && !path.startsWith("/proc");
}

function parseGroups(text: string): ReadonlyMap<string, number> {
  const fields = text.split("\n", MAX_USERS).map((line) => line.split(":"));
  return new Map(fields.filter(([, , gid = ""]) => /^\d{1,9}$/.test(gid)).map(([name = "", , gid]) => [name, Number(gid)]));
}

/** The text of a file as it stands in the image; empty where there is none, or where it is anything but a plain file of fitting size. */
export function listIn(layers: readonly string[], path: string): string {
  const found = findIn(layers, path);
  return found?.stats.isFile() === true && found.stats.size <= LIST_BYTES ? readFileSync(found.path, "utf8") : "";
}

/** What stands at a path of the image, the topmost layer first. No link is followed, neither at its end nor on the way. */
export function findIn(layers: readonly string[], path: string): { readonly path: string; readonly stats: Stats } | undefined {
  const parts = path.split("/");
  for (const layer of layers) {
    let at = layer;
    for (const [depth, part] of parts.entries()) {
      at = join(at, part);
      const stats = lstatSync(at, { throwIfNoEntry: false });
      if (stats === undefined) break;
      // A whiteout: gone, whatever the layers below have.
      if (stats.isCharacterDevice()) return undefined;
      if (depth === parts.length - 1) return { path: at, stats };
      if (!stats.isDirectory()) return undefined;
    }
  }
  return undefined;
}

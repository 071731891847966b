import { pathToBytes } from "../contract/path.ts";

/** A file, directory, symlink or (x) something else as a look at it found it. */
export interface Found {
  readonly type: "f" | "d" | "l" | "x";
  /** Permission bits. */
  readonly mode: number;
  readonly size: number;
  /** Changes with everything that a look can see of it; with a "?" before it where it may change without that for a moment still. */
  readonly look: string;
  /** What a symlink points to. */
  readonly target: string;
}

/** What is on one side, by path. */
export interface Side {
  get(path: string): Found | undefined;
  /** All of it; asked for only where it matters what stays. */
  keys(): Iterable<string>;
}

/** A look without the mark of a moment in which it did not say all. */
export function plain(look: string): string {
  return look.startsWith("?") ? look.slice(1) : look;
}

/** What was there when it was last in step, by what is known of that; its look says the rest. */
export function foundIn(look: string, held: string): Found {
  const [type = "x", mode = "0"] = held.split(" ");
  if (type === "l") return { type, mode: MODE, size: 0, look, target: held.slice(2) };
  const size = type === "f" ? Number(plain(look).split(" ")[2]) : 0;
  return { type: type as Found["type"], mode: Number.parseInt(mode, 8), size, look, target: "" };
}

/** What both sides held when they were last in step. */
export interface Known {
  /** The looks of here and of inside, then. */
  readonly here: string;
  readonly inside: string;
  /** What was in it, as {@link identityOf} says it; the two differ where one side cannot keep what the other has. */
  readonly held: string;
  readonly heldInside: string;
}

/** Bits of a mode that travel. */
export const MODE = 0o777;

/** What something is, apart from when: equal ones need not travel. A directory is its mode, whatever is in it. */
export function identityOf({ type, mode, target }: Pick<Found, "type" | "mode" | "target">, hash: string): string {
  return type === "l" ? `l ${target}` : `${type} ${mode.toString(8)}${type === "f" ? ` ${hash}` : ""}`;
}

/** Whether two identities hold the same, their modes apart. */
export function sameContent(a: string, b: string): boolean {
  if (a === b) return true;
  const [kind, , hash] = a.split(" ");
  const [other, , otherHash] = b.split(" ");
  return kind === other && kind !== "l" && hash === otherHash;
}

export function parentOf(path: string): string {
  const slash = path.lastIndexOf("/");
  return slash === -1 ? "" : path.slice(0, slash);
}

/** Whether a path is one of the named, or below one; "." names everything. */
export function isNamed(path: string, names: readonly string[]): boolean {
  return names.some((name) => {
    const plain = name.replace(/^\.\//, "").replace(/\/+$/, "");
    return plain === "." || plain === "" || path === plain || path.startsWith(`${plain}/`);
  });
}

/** The path for a call of the system's: names that are not UTF-8 are bytes. */
export function systemPath(path: string): string | Buffer {
  return path.isWellFormed() ? path : Buffer.from(pathToBytes(path));
}

/** Paths as programs take them from standard input: separated by NUL bytes, and never taken for an option. */
export function pathList(paths: readonly string[]): Uint8Array {
  return Buffer.from(Buffer.concat(paths.flatMap((path) => [Buffer.from(pathToBytes(`./${path}`)), Buffer.of(0)])));
}

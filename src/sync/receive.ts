import { createHash } from "node:crypto";
import {
  chmodSync,
  constants,
  copyFileSync,
  lstatSync,
  mkdirSync,
  readlinkSync,
  renameSync,
  rmdirSync,
  symlinkSync,
  unlinkSync,
} from "node:fs";
import { open } from "node:fs/promises";
import { dirname, join } from "node:path";
import { SandboxerError } from "../contract/errors.ts";
import { pathToBytes } from "../contract/path.ts";
import { type Found, identityOf, type Known, MODE, parentOf, plain, systemPath } from "./entry.ts";
import { foundAt } from "./here.ts";
import { write } from "./tar/drain.ts";

/** Changes a directory here, and keeps what that replaces. No symlink is followed: neither one that was here nor one that came. */
export class Receiver {
  readonly #root: string;
  readonly #backup: string;
  readonly #seen: ReadonlyMap<string, Found>;
  /** What was removed here to make room. */
  readonly #gone = new Set<string>();
  #keeps = false;
  #drafts = 0;
  /** Raw looks of what was written, to see at the end whether it is still that. */
  readonly written = new Map<string, string>();

  /** `seen`: what was here when it was decided; `backup`: a directory that is made when something is kept. */
  constructor(root: string, seen: ReadonlyMap<string, Found>, backup: string) {
    this.#root = root;
    this.#seen = seen;
    this.#backup = backup;
  }

  /** Where it is kept what was replaced; null where nothing was. */
  get backup(): string | null {
    return this.#keeps ? this.#backup : null;
  }

  /** False where something is here that was not when it was decided. */
  async file(path: string, found: Found, content: AsyncIterable<Uint8Array>): Promise<Known | undefined> {
    if (!this.#ready(path)) return undefined;
    const draft = this.#place(`${parentOf(path) === "" ? "" : `${parentOf(path)}/`}.sand-boxer-${process.pid}-${this.#drafts++}`);
    const hash = createHash("sha256");
    try {
      const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
      {
        await using handle = await open(draft, flags, 0o600);
        for await (const chunk of content) {
          hash.update(chunk);
          await write(handle, chunk);
        }
        await handle.chmod(found.mode);
      }
      // Once more: the content may have been long in coming.
      if (!this.#ready(path)) return undefined;
      this.#keep(path);
      renameSync(draft, this.#place(path));
    } finally {
      if (lstatSync(draft, { throwIfNoEntry: false }) !== undefined) unlinkSync(draft);
    }
    return this.#wrote(path, found, hash.digest("hex"));
  }

  /** A directory or a symlink. */
  put(path: string, found: Found): Known | undefined {
    if (!this.#ready(path)) return undefined;
    const place = this.#place(path);
    const before = lstatSync(place, { throwIfNoEntry: false });
    if (found.type === "d" && before?.isDirectory() === true) chmodSync(place, found.mode);
    else {
      this.#keep(path);
      if (before !== undefined) unlinkSync(place);
      if (found.type === "d") mkdirSync(place, { mode: found.mode });
      else symlinkSync(Buffer.from(pathToBytes(found.target)), place);
      if (found.type === "d") chmodSync(place, found.mode);
    }
    return this.#wrote(path, found, "");
  }

  /** Whether it is gone: a directory in which something is left stays. */
  remove(path: string): boolean {
    if (!this.#ready(path)) return false;
    const place = this.#place(path);
    const stat = lstatSync(place, { throwIfNoEntry: false });
    if (stat === undefined) return true;
    if (!stat.isDirectory()) {
      this.#keep(path);
      unlinkSync(place);
      this.#gone.add(path);
      return true;
    }
    try {
      rmdirSync(place);
      this.#gone.add(path);
      return true;
    } catch (thrown) {
      if (["ENOTEMPTY", "EEXIST"].includes((thrown as NodeJS.ErrnoException).code ?? "")) return false;
      throw thrown;
    }
  }

  #place(path: string): string | Buffer {
    return systemPath(`${this.#root}/${path}`);
  }

  /** Whether the way to it is all directories, made where they are missing, and it is still as it was seen. */
  #ready(path: string): boolean {
    const parts = path.split("/");
    for (let i = 1; i < parts.length; i++) {
      const place = this.#place(parts.slice(0, i).join("/"));
      const stat = lstatSync(place, { throwIfNoEntry: false });
      if (stat === undefined) mkdirSync(place, { mode: 0o755 });
      else if (!stat.isDirectory()) return false;
    }
    const place = this.#place(path);
    const stat = lstatSync(place, { throwIfNoEntry: false });
    const seen = this.#gone.has(path) ? undefined : this.#seen.get(path);
    if (stat === undefined || seen === undefined) return stat === undefined && seen === undefined;
    return foundAt(stat, place, Infinity).look === plain(seen.look);
  }

  /** A copy, so that there is no moment without one or the other. */
  #keep(path: string): void {
    const place = this.#place(path);
    const stat = lstatSync(place, { throwIfNoEntry: false });
    if (stat === undefined || stat.isDirectory()) return;
    const to = systemPath(join(this.#backup, path));
    mkdirSync(systemPath(dirname(join(this.#backup, path))), { recursive: true, mode: 0o700 });
    this.#keeps = true;
    if (stat.isSymbolicLink()) symlinkSync(readlinkSync(place, { encoding: "buffer" }), to);
    else if (stat.isFile()) copyFileSync(place, to, constants.COPYFILE_FICLONE);
    else throw new SandboxerError("file_conflict", `${path} is neither a file nor a symlink here, and cannot be kept`, { phase: "sync" });
  }

  #wrote(path: string, found: Found, hash: string): Known | undefined {
    const place = this.#place(path);
    const stat = lstatSync(place, { throwIfNoEntry: false });
    if (stat === undefined) return undefined;
    this.written.set(path, foundAt(stat, place, Infinity).look);
    const held = identityOf({ type: found.type, mode: stat.mode & MODE, target: found.target }, hash);
    return { here: foundAt(stat, place, Date.now()).look, inside: found.look, held, heldInside: identityOf(found, hash) };
  }

  /** The look of something that was written, where by now it says that nobody has written it since. */
  settled(path: string, now: number): string | undefined {
    const place = this.#place(path);
    const stat = lstatSync(place, { throwIfNoEntry: false });
    const look = stat === undefined ? undefined : foundAt(stat, place, now).look;
    return look === this.written.get(path) ? look : undefined;
  }
}

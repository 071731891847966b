import { SandboxerError } from "../contract/errors.ts";
import { pathFromBytes } from "../contract/path.ts";
import type { ExecResult, Sandbox } from "../sdk/index.ts";
import { type Found, pathList } from "./entry.ts";
import { parseDifference, parseListing } from "./listing.ts";
import { readTar } from "../tar/read.ts";

/**
 * What is inside: all of it, or what is otherwise than in the listing with the name that was given (undefined: gone). `name` is that of
 * this one, to be given the next time; "" where there can be no next time.
 */
export type Listing = { readonly name: string } & (
  | { readonly all: Map<string, Found> }
  | { readonly changed: Map<string, Found | undefined> }
);

/** What a sync asks of a sandbox, each with as few calls as can be. Paths are relative to the directory. */
export interface Inside {
  /** Everything in the directory, `.git` only where it is wanted, or what has changed since the `last` listing. */
  list(last: string, git: boolean): Promise<Listing>;
  /** What a look says now; what is not there is left out. */
  looks(paths: readonly string[]): Promise<Map<string, Found>>;
  /** The sha256 of files, in hex; what is no file any more is left out. */
  hashes(paths: readonly string[]): Promise<Map<string, string>>;
  /** Files and symlinks, then directories that are empty, deepest first. Others stay. */
  remove(files: readonly string[], directories: readonly string[]): Promise<void>;
  /** The content of files, each to be read before the next. */
  fetch(paths: readonly string[]): AsyncIterable<{ readonly path: string; readonly content: AsyncIterable<Uint8Array> }>;
}

/** Of a shell that does not understand the script, or that is not there. */
const NO_SHELL: ReadonlySet<number> = new Set([2, 126, 127]);
const NO_TOOLS = 91;
const UNREADABLE = 92;

/** One entry's look: type, mode, size, both times, inode. A directory's times say nothing. See listing.ts. */
const LOOK = String.raw`\( -type d -printf '%y %m\n%p\0' \) -o \( -type l -printf '%y %m\n%p//%l\0' \) -o -printf '%y %m %s %T@ %C@ %i\n%p\0'`;

const AT = 'mkdir -p -- "$1" && cd -- "$1" || exit 1\n';

/**
 * The listing goes to a file that stays there, and the next time only what differs from it is sent. It is made while we look at our own side.
 * Words: the last one's name, "check" or "", what find leaves out, and a name for the file.
 */
const LIST = `${AT}export LC_ALL=C
if [ -n "$3" ]; then
  find . -maxdepth 0 -printf '' 2>/dev/null && sha256sum -z </dev/null >/dev/null 2>&1 && comm -z /dev/null /dev/null 2>/dev/null &&
  xargs -0 -r true </dev/null 2>/dev/null && tar --hard-dereference --no-recursion -c -f /dev/null --null -T /dev/null 2>/dev/null || exit ${NO_TOOLS}
fi
m=\${TMPDIR:-/tmp}/.sand-boxer-sync-$5
t=$(mktemp "$m.XXXXXX") || exit ${NO_TOOLS}
trap 'rm -f "$t"' EXIT
n=$(date +%s.%N)
find . -ignore_readdir_race -mindepth 1 $4 ${LOOK} >"$t" || exit ${UNREADABLE}
sort -z -o "$t" "$t" || exit 1
h=$(sha256sum <"$t")
o=; [ -z "$2" ] || o=$( (sha256sum <"$m") 2>/dev/null)
if [ -n "$2" ] && [ "\${o%% *}" = "$2" ]; then echo "changed \${h%% *} $n"; comm -z -3 "$m" "$t" || exit 1
else echo "all \${h%% *} $n"; cat "$t" || exit 1
fi
mv -f "$t" "$m"`;

const LOOKS = `${AT}date +%s.%N; xargs -0 -r sh -c 'find "$@" -maxdepth 0 ${LOOK.replaceAll("'", `'\\''`)} 2>/dev/null; exit 0' sh`;
const HASHES = `${AT}xargs -0 -r sh -c 'sha256sum -z -- "$@" 2>/dev/null; exit 0' sh`;
const REMOVE_FILES = `${AT}xargs -0 -r rm -f --`;
const REMOVE_DIRECTORIES = `${AT}xargs -0 -r sh -c 'rmdir -- "$@" 2>/dev/null; exit 0' sh`;
const FETCH = `${AT}exec tar -c -f - --no-recursion --hard-dereference --null -T -`;

/** By the GNU programs that images have, one exec a call. */
export class InsideByTools implements Inside {
  readonly #sandbox: Sandbox;
  readonly #directory: string;
  readonly #signal: AbortSignal | undefined;
  readonly #name: string;
  #checked: boolean;

  /** `checked`: an earlier sync has seen that the programs are there; `name`: the pair's, for the listing that stays inside. */
  constructor(
    sandbox: Sandbox,
    directory: string,
    { signal, checked, name }: { signal: AbortSignal | undefined; checked: boolean; name: string },
  ) {
    this.#name = name;
    this.#sandbox = sandbox;
    this.#directory = directory;
    this.#signal = signal;
    this.#checked = checked;
  }

  /** Throws {@link MissingTools} where the image has not what this needs. */
  async list(last: string, git: boolean): Promise<Listing> {
    const words = [last, this.#checked ? "" : "check"];
    const prune = git ? "" : "-name .git -prune -o";
    // Split into words by the shell on purpose: the options of find are ours.
    const result = await this.#run(LIST, undefined, ...words, prune, this.#name);
    if (result.exitCode === NO_TOOLS || (!this.#checked && NO_SHELL.has(result.exitCode ?? 0))) throw new MissingTools();
    if (result.exitCode === UNREADABLE)
      throw new SandboxerError("file_denied", "something inside cannot be read by the sandbox's user", {
        phase: "sync",
        hint: "What cannot be read would look removed, so nothing was synced: make it readable inside, or sync another directory.",
      });
    const bytes = Buffer.from(good(result, "list the directory").stdoutBytes);
    this.#checked = true;
    const newline = bytes.indexOf(10);
    const [what = "", name = "", now = ""] = bytes.toString("latin1", 0, newline).split(" ");
    const body = bytes.subarray(newline + 1);
    return what === "changed" ? { name, changed: parseDifference(body, Number(now)) } : { name, all: parseListing(body, Number(now)) };
  }

  async looks(paths: readonly string[]): Promise<Map<string, Found>> {
    if (paths.length === 0) return new Map();
    const bytes = Buffer.from(good(await this.#run(LOOKS, pathList(paths)), "look at files").stdoutBytes);
    const newline = bytes.indexOf(10);
    return parseListing(bytes.subarray(newline + 1), Number(bytes.toString("latin1", 0, newline)));
  }

  async hashes(paths: readonly string[]): Promise<Map<string, string>> {
    const found = new Map<string, string>();
    if (paths.length === 0) return found;
    const bytes = Buffer.from(good(await this.#run(HASHES, pathList(paths)), "hash files").stdoutBytes);
    for (let at = 0; at < bytes.length;) {
      const end = bytes.indexOf(0, at);
      if (end === -1) break;
      found.set(pathFromBytes(bytes.subarray(at + 68, end)), bytes.toString("latin1", at, at + 64));
      at = end + 1;
    }
    return found;
  }

  async remove(files: readonly string[], directories: readonly string[]): Promise<void> {
    if (files.length > 0) good(await this.#run(REMOVE_FILES, pathList(files)), "remove files");
    if (directories.length > 0) good(await this.#run(REMOVE_DIRECTORIES, pathList(directories)), "remove directories");
  }

  async *fetch(paths: readonly string[]): AsyncGenerator<{ path: string; content: AsyncIterable<Uint8Array> }> {
    if (paths.length === 0) return;
    const execution = this.#sandbox.exec(["sh", "-c", FETCH, "sync", this.#directory], { ...this.#cancelable(), stdin: pathList(paths) });
    let complaint = "";
    let code: number | null = null;
    const body = async function* (): AsyncGenerator<Uint8Array> {
      for await (const event of execution) {
        if (event.type === "stdout") yield event.data;
        else if (event.type === "stderr") complaint = (complaint + Buffer.from(event.data).toString()).slice(-1000);
        else if (event.type === "exited") code = event.exitCode;
      }
    };
    try {
      for await (const { name, type, content } of readTar(body())) {
        if (type === "file") yield { path: pathFromBytes(Buffer.from(name.replace(/^\.\//, ""), "latin1")), content };
      }
    } catch (thrown) {
      if (thrown instanceof RangeError) throw broken(`the archive broke off: ${complaint.trim() || thrown.message}`, thrown);
      throw thrown;
    }
    // 1: something changed or went while it was read, which whoever asked for it finds out.
    if (code !== 0 && code !== 1) throw broken(complaint.trim());
  }

  async #run(script: string, stdin: Uint8Array | undefined, ...words: string[]): Promise<ExecResult> {
    const argv = ["sh", "-c", script, "sync", this.#directory, ...words];
    return this.#sandbox.exec(argv, { ...this.#cancelable(), ...(stdin === undefined ? {} : { stdin }) });
  }

  #cancelable(): { signal?: AbortSignal } {
    return this.#signal === undefined ? {} : { signal: this.#signal };
  }
}

/** The image lacks a program that {@link InsideByTools} needs. */
export class MissingTools extends Error {}

function broken(why: string, cause?: unknown): SandboxerError {
  return new SandboxerError("backend_rejected", `the sandbox could not send files: ${why}`, { phase: "sync", cause });
}

function good(result: ExecResult, what: string): ExecResult {
  if (result.truncated)
    throw new SandboxerError("output_limit", "the directory inside has too many entries to sync", {
      phase: "sync",
      hint: "Sync a smaller directory: --to PATH.",
    });
  if (result.ok) return result;
  const why = result.stderr.trim().slice(-500);
  throw new SandboxerError("backend_rejected", `the sandbox could not ${what} (exit ${result.exitCode ?? result.outcome}): ${why}`, {
    phase: "sync",
  });
}

import { randomBytes } from "node:crypto";
import { SandboxerError, newId } from "../../contract/index.ts";
import type { Command, ErrorCode, ExecEvent, Op, Provider, Ref, Stdin } from "../../contract/index.ts";
import { PRELUDE, SCRIPTS, STATUS, encodePath } from "./files-script.ts";

/** What {@link filesOverExec} needs to know. */
export interface FilesOverExecOptions {
  /** The provider's own exec: every operation is one call of it, so it all happens in the sandbox's confinement, as its user. */
  readonly exec: Provider["exec"];
  /** Absolute path, inside, of a static busybox that nobody inside can change. Without it the image's own tools are used. */
  readonly busybox?: string;
  /** Absolute path where relative paths start. */
  readonly workdir: string;
  /** Entries that a list gives before it is refused as `output_limit`; 100,000 unless given. */
  readonly maxEntries?: number;
  /** Milliseconds that an operation waits for the next sign of life before it is given up as `timeout`; 60,000 unless given. */
  readonly stallMs?: number;
}

/** A fresh word that stands in no name by chance. */
export function stamp(): string {
  return randomBytes(16).toString("hex");
}

const CODES: Readonly<Record<number, [ErrorCode, string]>> = {
  [STATUS.missing]: ["file_not_found", "there is no such file or directory"],
  [STATUS.denied]: ["file_denied", "the sandbox's user may not do that"],
  [STATUS.directory]: ["file_conflict", "it is a directory"],
  [STATUS.special]: ["file_conflict", "it is no regular file, but a pipe, a socket or a device"],
  [STATUS.exists]: ["file_conflict", "something stands there already"],
  [STATUS.notDirectory]: ["file_conflict", "it is no directory"],
  [STATUS.notEmpty]: ["file_conflict", "the directory is not empty"],
  [STATUS.incomplete]: ["canceled", "the upload ended before all of it had come"],
};

/**
 * The C library's words for an errno, at the very end of what a tool says: no file's name can stand behind them. The
 * tools have no other way to pass an errno on, and LC_ALL=C fixes the words.
 */
const ERRNO: readonly (readonly [RegExp, ErrorCode])[] = [
  [/([Nn]o such file( or directory)?|nonexistent directory|Directory nonexistent)$/, "file_not_found"],
  [/(Permission denied|Operation not permitted|Read-only file system)$/, "file_denied"],
  [/(File exists|Is a directory|Not a directory|Directory not empty|is a directory|Invalid argument|Device or resource busy|Too many levels of symbolic links|Symbolic link loop|No such device or address)$/, "file_conflict"],
  [/(No space left on device|quota exceeded|Quota exceeded|File too large)$/, "quota_exceeded"],
  [/(File name too long|Filename too long)$/, "invalid_request"],
]; // prettier-ignore

/** One script under way inside the sandbox. */
export class ScriptRun {
  readonly #events: AsyncIterator<ExecEvent>;
  readonly #path: string;
  readonly #stallMs: number;
  readonly #abort = new AbortController();
  #complaint = "";

  constructor(
    options: FilesOverExecOptions,
    ref: Ref,
    script: keyof typeof SCRIPTS,
    words: readonly [path: string, ...rest: string[]],
    stdin: Stdin,
    op: Op,
  ) {
    const tools = options.busybox ?? "";
    const shell = tools === "" ? ["/bin/sh"] : [tools, "sh"];
    const [path, ...rest] = words;
    const command: Command = {
      id: newId("exec"),
      run: { argv: [...shell, "-c", PRELUDE + SCRIPTS[script], "files", tools, encodePath(path), ...rest] },
    };
    const signal = AbortSignal.any([op.signal, this.#abort.signal]);
    this.#path = path;
    this.#stallMs = options.stallMs ?? 60_000;
    const events = options.exec(ref, command, { stdin, maxOutputBytes: Number.MAX_SAFE_INTEGER }, { ...op, signal });
    this.#events = events[Symbol.asyncIterator]();
  }

  /** The next bytes of standard output, or null after a good end. Throws what went wrong. */
  async next(): Promise<Uint8Array | null> {
    for (;;) {
      const { value: event, done } = await this.#alive(this.#events.next());
      if (done === true)
        throw new SandboxerError("backend_unavailable", `${this.#path}: the operation broke off inside the sandbox`, { phase: "files" });
      if (event.type === "stdout") return event.data;
      if (event.type === "stderr") this.#complaint = (this.#complaint + Buffer.from(event.data).toString("utf8")).slice(-4096);
      if (event.type === "exited") {
        if (event.exitCode === 0) return null;
        throw this.#failure(event.exitCode, event.signal, event.oomKilled);
      }
    }
  }

  /** All of standard output, at most `limit` bytes. */
  async text(limit = 1_048_576): Promise<Buffer> {
    const chunks: Uint8Array[] = [];
    let size = 0;
    for (let chunk = await this.next(); chunk !== null; chunk = await this.next()) {
      size += chunk.length;
      if (size > limit) {
        await this.stop();
        throw new SandboxerError("output_limit", `${this.#path}: more than ${limit} bytes of answer`, { phase: "files" });
      }
      chunks.push(chunk);
    }
    return Buffer.concat(chunks);
  }

  /** Kills what still runs. */
  async stop(): Promise<void> {
    this.#abort.abort();
    await this.#events.return?.();
  }

  /** A FIFO swapped in at the last moment, or a file system that hangs, must not hold the caller for ever. */
  async #alive<T>(next: Promise<T>): Promise<T> {
    const stalled = Promise.withResolvers<never>();
    const clock = setTimeout(() => {
      stalled.reject(
        new SandboxerError("timeout", `${this.#path}: nothing happened inside the sandbox for ${this.#stallMs} ms`, { phase: "files" }),
      );
      this.#abort.abort();
    }, this.#stallMs);
    try {
      return await Promise.race([next, stalled.promise]);
    } finally {
      clearTimeout(clock);
    }
  }

  #failure(exitCode: number | null, signal: string | null, oomKilled: boolean): SandboxerError {
    const told = exitCode === null ? undefined : CODES[exitCode];
    if (told !== undefined) return new SandboxerError(told[0], `${this.#path}: ${told[1]}`, { phase: "files" });
    // 128+25 is SIGXFSZ: the file grew beyond the limit that stands for the disk quota.
    if (exitCode === 153)
      return new SandboxerError("quota_exceeded", `${this.#path}: the sandbox's disk quota is used up`, { phase: "files" });
    const complaint = this.#complaint.trim();
    const found = ERRNO.find(([words]) => words.test(complaint));
    if (found?.[1] === "quota_exceeded")
      return new SandboxerError("quota_exceeded", `${this.#path}: the sandbox's disk quota is used up`, {
        phase: "files",
        hint: "Remove files inside the sandbox, or use a profile with a larger resources.disk.",
      });
    if (found !== undefined)
      return new SandboxerError(found[1], `${this.#path}: ${complaint.slice(complaint.lastIndexOf(": ") + 2)}`, { phase: "files" });
    const how = signal === null ? `status ${exitCode ?? "unknown"}` : `${signal}${oomKilled ? ", for want of memory" : ""}`;
    return new SandboxerError(
      "backend_rejected",
      `${this.#path}: the operation ended with ${how} inside the sandbox${complaint === "" ? "" : `: ${complaint.slice(-500)}`}`,
      { phase: "files" },
    );
  }
}

/** Runs a script that answers little, to its end. */
export async function runScript(
  options: FilesOverExecOptions,
  ref: Ref,
  script: keyof typeof SCRIPTS,
  words: readonly [path: string, ...rest: string[]],
  op: Op,
): Promise<Buffer> {
  return await new ScriptRun(options, ref, script, words, { kind: "none" }, op).text();
}

import { setTimeout as sleep } from "node:timers/promises";
import { SandboxerError, pathFromBytes } from "../../contract/index.ts";
import type { FileEvent, Op, Ref, WatchOptions } from "../../contract/index.ts";
import { parseFields, splitBytes } from "./files-info.ts";
import { ScriptRun, stamp } from "./files-run.ts";
import type { FilesOverExecOptions } from "./files-run.ts";

type Scan = Map<string, { inode: string; mode: string; content: string }>;

/**
 * Watches by comparing scans, four a second at most and never more than a fifth of the time: it works in any image, and
 * reports it as `fs.watch: emulated`. What appears and goes between two scans is not seen. More than 20,000 entries are
 * refused as `output_limit`.
 */
export async function* watchOverExec(
  options: FilesOverExecOptions,
  ref: Ref,
  path: string,
  { recursive, onArmed }: WatchOptions,
  op: Op,
): AsyncGenerator<FileEvent> {
  const word = stamp();
  const ask = new Turns();
  const run = new ScriptRun(options, ref, "watch", [path, word, recursive ? "1000000" : "1"], { kind: "pipe", stream: ask.stream() }, op);
  try {
    ask.turn();
    let before = await scan(run, word, path);
    onArmed?.();
    for (;;) {
      const started = performance.now();
      ask.turn();
      const now = await scan(run, word, path);
      yield* compare(before, now);
      before = now;
      await sleep(Math.max(250, 4 * (performance.now() - started)), undefined, { signal: op.signal });
    }
  } catch (thrown) {
    if (!op.signal.aborted) throw thrown;
  } finally {
    ask.end();
    await run.stop();
  }
}

async function scan(run: ScriptRun, word: string, path: string): Promise<Scan> {
  const chunks: Uint8Array[] = [];
  let tail: Buffer = Buffer.alloc(0);
  let size = 0;
  while (!tail.toString("latin1").endsWith(word + word)) {
    const chunk = await run.next();
    if (chunk === null)
      throw new SandboxerError("backend_unavailable", `${path}: the watch broke off inside the sandbox`, { phase: "files" });
    chunks.push(chunk);
    size += chunk.length;
    if (size > 8 * 1_048_576)
      throw new SandboxerError("output_limit", `${path}: too many files to watch`, { phase: "files", hint: "Watch a smaller directory." });
    tail = Buffer.concat([tail, chunk]).subarray(-2 * word.length);
  }
  const pieces = splitBytes(Buffer.concat(chunks), word);
  const entries: Scan = new Map();
  for (let i = 1; i + 2 < pieces.length; i += 2) {
    // Behind each name stands the newline of stat.
    const [fields, name] = [pieces[i], pieces[i + 1]];
    if (fields === undefined || name === undefined) break;
    const { info, inode, raw } = parseFields(fields.toString("latin1"));
    const content = info.type === "directory" ? info.type : `${info.type} ${info.size} ${raw.split(" ").slice(5, 7).join(" ")}`;
    entries.set(pathFromBytes(name.subarray(0, -1)), { inode, mode: info.mode, content });
  }
  return entries;
}

function* compare(before: Scan, now: Scan): Generator<FileEvent> {
  const inodes = new Set(Array.from(now).filter(([path]) => !before.has(path)).map(([, entry]) => entry.inode)); // prettier-ignore
  for (const [path, entry] of before) if (!now.has(path)) yield { type: inodes.has(entry.inode) ? "renamed" : "removed", path };
  for (const [path, entry] of now) {
    const old = before.get(path);
    if (old === undefined) yield { type: "created", path };
    else if (old.content !== entry.content || old.inode !== entry.inode) yield { type: "modified", path };
    else if (old.mode !== entry.mode) yield { type: "attributes", path };
  }
}

/** A line for every scan that is wanted, as the script's standard input. */
class Turns {
  #wanted = 0;
  #ended = false;
  #next = Promise.withResolvers<void>();

  turn(): void {
    this.#wanted++;
    this.#next.resolve();
  }

  end(): void {
    this.#ended = true;
    this.#next.resolve();
  }

  async *stream(): AsyncGenerator<Uint8Array> {
    for (;;) {
      if (this.#ended) return;
      if (this.#wanted > 0) {
        this.#wanted--;
        yield Uint8Array.of(10);
        continue;
      }
      await this.#next.promise;
      this.#next = Promise.withResolvers();
    }
  }
}

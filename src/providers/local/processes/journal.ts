import { closeSync, existsSync, fstatSync, openSync, readSync, watch } from "node:fs";
import { join } from "node:path";
import { SandboxerError } from "../../../contract/index.ts";

/**
 * A process's output as its shim writes it: records of a byte for the stream, a big-endian u32 length, and the bytes. An offset is a
 * place between two records, in bytes of the file.
 */

const HEADER = 5;

/** Read at once; a record is at most 64 KiB. */
const WINDOW = 1024 * 1024;

export interface JournalRecord {
  readonly stream: "stdout" | "stderr";
  readonly data: Uint8Array;
  /** Where the next record stands. */
  readonly next: number;
}

/** Calls `wake` on every change in the directory, and a few times a second in case the kernel has dropped one. */
class Changes {
  readonly #watcher;
  readonly #timer: NodeJS.Timeout;
  #changed = true;
  #wake: (() => void) | undefined;

  constructor(directory: string, signal: AbortSignal) {
    const notice = (): void => {
      this.#changed = true;
      this.#wake?.();
    };
    this.#watcher = watch(directory, { persistent: false }, notice);
    // The directory goes with its sandbox; the next look at it says so.
    this.#watcher.on("error", notice);
    this.#timer = setInterval(notice, 250);
    signal.addEventListener("abort", notice, { once: true });
  }

  async next(): Promise<void> {
    if (!this.#changed) await new Promise<void>((resolve) => (this.#wake = resolve));
    this.#wake = undefined;
    this.#changed = false;
  }

  close(): void {
    this.#watcher.close();
    clearInterval(this.#timer);
  }
}

/**
 * The records from `offset` on. With `follow` it waits for more until `ended` says that there will be none. Throws
 * `invalid_request` for an offset that is not between two records.
 */
export async function* readJournal(
  directory: string,
  from: { offset: number; follow: boolean },
  ended: () => boolean,
  signal: AbortSignal,
): AsyncGenerator<JournalRecord> {
  const descriptor = openJournal(directory);
  const changes = from.follow ? new Changes(directory, signal) : undefined;
  try {
    checkBoundary(descriptor, from.offset);
    let at = from.offset;
    for (;;) {
      signal.throwIfAborted();
      await changes?.next();
      // Asked before reading: what is written before the end is then always seen.
      const last = changes === undefined || ended();
      for (let window = readWindow(descriptor, at); window.length > 0; window = readWindow(descriptor, at)) {
        for (const record of window) yield record;
        at = window.at(-1)?.next ?? at;
      }
      if (last) return;
    }
  } finally {
    changes?.close();
    closeSync(descriptor);
  }
}

/** Length of the journal; 0 where nothing was written yet. */
export function journalLength(directory: string): number {
  if (!existsSync(join(directory, "journal"))) return 0;
  const descriptor = openJournal(directory);
  try {
    return fstatSync(descriptor).size;
  } finally {
    closeSync(descriptor);
  }
}

function openJournal(directory: string): number {
  try {
    return openSync(join(directory, "journal"), "r");
  } catch (cause) {
    throw new SandboxerError("process_not_found", "there is no such process, or its sandbox has ended", { cause, phase: "processes" });
  }
}

/** The whole records of one window; a record that is still being written waits for the next look. */
function readWindow(descriptor: number, at: number): JournalRecord[] {
  const buffer = Buffer.allocUnsafe(Math.min(WINDOW, Math.max(0, fstatSync(descriptor).size - at)));
  const length = readSync(descriptor, buffer, 0, buffer.length, at);
  const records: JournalRecord[] = [];
  for (let i = 0; i + HEADER <= length;) {
    const size = buffer.readUInt32BE(i + 1);
    if (i + HEADER + size > length) break;
    const data = buffer.subarray(i + HEADER, i + HEADER + size);
    i += HEADER + size;
    records.push({ stream: buffer[i - size - HEADER] === 2 ? "stderr" : "stdout", data, next: at + i });
  }
  return records;
}

function checkBoundary(descriptor: number, offset: number): void {
  const { size } = fstatSync(descriptor);
  let at = 0;
  while (at < offset && at < size) {
    const window = readWindow(descriptor, at);
    const boundary = window.findLast(({ next }) => next <= offset)?.next;
    if (boundary === undefined) break;
    at = boundary;
    if (window.some(({ next }) => next > offset)) break;
  }
  if (at === offset) return;
  const message =
    offset > size
      ? `the journal has ${size} bytes only`
      : "not a place between two pieces of output; use an offset that was answered before";
  throw new SandboxerError("invalid_request", `offset ${offset}: ${message}`, {
    issues: [{ path: "offset", message, nearest: String(at) }],
  });
}

import { closeSync, existsSync, fstatSync, lstatSync, openSync, readlinkSync, readSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { SandboxerError } from "../../../contract/index.ts";
import { throwIfAborted } from "../abort.ts";
import { Changes } from "./changes.ts";

/**
 * A process's output as its shim writes it: the bytes of both streams in `journal`, in the order they came, and in `index` an entry for
 * each piece: a byte for the stream, and six for the offset at which the piece ends, big-endian. The bytes are written first. Where there are
 * many, both go on elsewhere, and what is here leads there.
 */

const ENTRY = 7;

/** The files whose change means that there is more, or that there will be none: what is written last of each. */
const PARTS = ["index", "exit"] as const;

/** Read at once. */
const WINDOW = 1024 * 1024;

const ENTRIES = 8192;

export interface JournalRecord {
  readonly stream: "stdout" | "stderr";
  readonly data: Uint8Array;
  /** The offset to go on from. */
  readonly next: number;
}

/**
 * The output from byte `offset` on. With `follow` it waits for more until `ended` says that there will be none. Throws
 * `invalid_request` for an offset beyond what there is.
 */
export async function* readJournal(
  directory: string,
  from: { offset: number; follow: boolean },
  ended: () => boolean,
  signal: AbortSignal,
): AsyncGenerator<JournalRecord> {
  const journal = new Journal(directory);
  let changes: Changes | undefined;
  try {
    journal.seek(from.offset);
    if (from.follow) changes = new Changes(directory, PARTS, signal);
    if (journal.place !== directory) changes?.also(journal.place);
    for (;;) {
      throwIfAborted(signal);
      await changes?.next();
      // Asked before reading: what is written before the end is then always seen.
      const last = changes === undefined || ended();
      for (;;) {
        const records = journal.take();
        yield* records;
        if (records.length > 0) continue;
        if (!journal.followMove()) break;
        changes?.also(journal.place);
      }
      if (last) return;
    }
  } finally {
    changes?.close();
    journal.close();
  }
}

/** Bytes of output so far; 0 where nothing was written yet. */
export function journalLength(directory: string): number {
  if (!existsSync(join(directory, "index"))) return 0;
  const journal = new Journal(directory);
  try {
    return journal.length;
  } finally {
    journal.close();
  }
}

class Journal {
  readonly #directory: string;
  #bytes: number;
  #index: number;
  /** The entry that holds {@link #at}, or the next to come. */
  #entry = 0;
  #at = 0;

  constructor(directory: string) {
    this.#directory = directory;
    [this.#index, this.#bytes] = openParts(directory);
  }

  /** The directory in which it is written at this moment. */
  get place(): string {
    const index = join(this.#directory, "index");
    const elsewhere = lstatSync(index, { throwIfNoEntry: false })?.isSymbolicLink() === true;
    return elsewhere ? dirname(readlinkSync(index)) : this.#directory;
  }

  /** Whether it goes on elsewhere, where it is then read. */
  followMove(): boolean {
    const now = statSync(join(this.#directory, "index"), { throwIfNoEntry: false });
    const { dev, ino } = fstatSync(this.#index);
    if (now === undefined || (now.ino === ino && now.dev === dev)) return false;
    const parts = openParts(this.#directory);
    this.close();
    [this.#index, this.#bytes] = parts;
    return true;
  }

  close(): void {
    closeSync(this.#bytes);
    closeSync(this.#index);
  }

  /** Whole entries only: one that is still being written waits for the next look. */
  get #entries(): number {
    return Math.floor(fstatSync(this.#index).size / ENTRY);
  }

  get length(): number {
    return this.#endOf(this.#entries - 1);
  }

  #endOf(entry: number): number {
    if (entry < 0) return 0;
    const buffer = Buffer.alloc(ENTRY);
    readSync(this.#index, buffer, 0, ENTRY, entry * ENTRY);
    return buffer.readUIntBE(1, 6);
  }

  seek(offset: number): void {
    const { length } = this;
    if (offset > length) {
      const message = `there are ${length} bytes of output`;
      throw new SandboxerError("invalid_request", `offset ${offset}: ${message}`, {
        issues: [{ path: "offset", message, nearest: String(length) }],
      });
    }
    let [low, high] = [0, this.#entries];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#endOf(middle) > offset) high = middle;
      else low = middle + 1;
    }
    [this.#entry, this.#at] = [low, offset];
  }

  /** The next pieces, neighbours of one stream as one; empty where there is no more now. */
  take(): JournalRecord[] {
    const index = Buffer.allocUnsafe(Math.min(ENTRIES, this.#entries - this.#entry) * ENTRY);
    const read = readSync(this.#index, index, 0, index.length, this.#entry * ENTRY);
    const [start, pieces] = [this.#at, [] as { stream: JournalRecord["stream"]; end: number }[]];
    for (let i = 0; i + ENTRY <= read; i += ENTRY) {
      const [stream, end] = [index[i] === 2 ? "stderr" : "stdout", index.readUIntBE(i + 1, 6)] as const;
      if (pieces.length > 0 && end - start > WINDOW) break;
      if (pieces.at(-1)?.stream === stream) pieces.pop();
      pieces.push({ stream, end });
      this.#entry++;
      this.#at = end;
    }
    if (pieces.length === 0) return [];
    const bytes = Buffer.allocUnsafe(this.#at - start);
    readSync(this.#bytes, bytes, 0, bytes.length, start);
    return pieces.map(({ stream, end }, i) => ({
      stream,
      data: bytes.subarray((pieces[i - 1]?.end ?? start) - start, end - start),
      next: end,
    }));
  }
}

/** The index first: it names nothing that the journal does not have then, whichever way either is moved meanwhile. */
function openParts(directory: string): [index: number, journal: number] {
  const index = openPart(directory, "index");
  try {
    return [index, openPart(directory, "journal")];
  } catch (error) {
    closeSync(index);
    throw error;
  }
}

function openPart(directory: string, name: string): number {
  try {
    return openSync(join(directory, name), "r");
  } catch (cause) {
    throw new SandboxerError("process_not_found", "there is no such process, or its sandbox has ended", { cause, phase: "processes" });
  }
}

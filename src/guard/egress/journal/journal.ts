import { closeSync, mkdirSync, openSync, readdirSync, readSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { SandboxerError } from "../../../contract/index.ts";
import type { NetworkVerdict } from "../../../contract/network.ts";

/** Bytes of one segment, and how many are kept: 64 MiB in all, some 150,000 entries. */
const SEGMENT_BYTES = 8 * 1024 ** 2;
const SEGMENTS = 8;
/** Read at once for a page. */
const PAGE_BYTES = 1024 ** 2;
const NEWLINE = 10;

export interface Page {
  readonly entries: readonly NetworkVerdict[];
  readonly cursor: string;
}

/**
 * Verdicts on disk, a line each, in numbered segments; the oldest is dropped when there are too many, which a reader sees by the gap in each sandbox's
 * `seq`. Entries of one turn of the event loop are written together; a crash loses no more than those.
 */
export class Journal {
  readonly #directory: string;
  #segment: number;
  #file: number;
  #size = 0;
  #pending: string[] = [];

  /** A new segment is begun: the line that a crash tore is the last of its own. */
  constructor(directory: string) {
    this.#directory = directory;
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    this.#segment = (this.#segments().at(-1) ?? 0) + 1;
    this.#file = this.#open(this.#segment);
  }

  append(verdict: NetworkVerdict): void {
    if (this.#pending.length === 0) setImmediate(() => this.flush());
    this.#pending.push(`${JSON.stringify(verdict)}\n`);
  }

  /** Writes what is pending. */
  flush(): void {
    if (this.#pending.length === 0) return;
    const bytes = Buffer.from(this.#pending.join(""));
    this.#pending = [];
    if (this.#size > 0 && this.#size + bytes.length > SEGMENT_BYTES) this.#rotate();
    this.#size += writeSync(this.#file, bytes);
  }

  /**
   * Entries from a cursor on, oldest first; from the oldest there is where it is null or points to what was dropped.
   *
   * @throws SandboxerError `invalid_request` for what is no cursor.
   */
  read(cursor: string | null, limit: number): Page {
    this.flush();
    const segments = this.#segments();
    const [, segmentText, offsetText] = /^(\d{1,10})\.(\d{1,10})$/.exec(cursor ?? "0.0") ?? [];
    if (segmentText === undefined) throw new SandboxerError("invalid_request", "the cursor is none of this journal's");
    let at = { segment: Number(segmentText), offset: Number(offsetText) };
    const entries: NetworkVerdict[] = [];
    for (const segment of segments.filter((one) => one >= at.segment)) {
      if (segment > at.segment) at = { segment, offset: 0 };
      const offset = this.#readInto(entries, at, limit);
      at = { segment, offset };
      if (entries.length >= limit) break;
    }
    return { entries, cursor: `${at.segment}.${at.offset}` };
  }

  /** The highest `seq` of each sandbox that stands in the newest segments, for those that lost count in a crash. */
  lastSeqs(): Map<string, number> {
    const last = new Map<string, number>();
    for (const segment of this.#segments().slice(-3)) {
      const entries: NetworkVerdict[] = [];
      this.#readInto(entries, { segment, offset: 0 }, Infinity);
      for (const { sandbox_id, seq } of entries) last.set(sandbox_id, Math.max(seq, last.get(sandbox_id) ?? 0));
    }
    return last;
  }

  close(): void {
    this.flush();
    closeSync(this.#file);
  }

  /** Answers where to go on in the segment. */
  #readInto(entries: NetworkVerdict[], { segment, offset }: { segment: number; offset: number }, limit: number): number {
    const file = openSync(this.#path(segment), "r");
    try {
      const buffer = Buffer.alloc(PAGE_BYTES);
      let at = offset;
      for (;;) {
        const read = readSync(file, buffer, 0, PAGE_BYTES, at);
        const whole = buffer.subarray(0, read).lastIndexOf(NEWLINE) + 1;
        // The end of what there is, or a line that a crash tore.
        if (whole === 0) return at;
        for (let start = 0; start < whole;) {
          if (entries.length >= limit) return at;
          const end = buffer.indexOf(NEWLINE, start);
          entries.push(JSON.parse(buffer.toString("utf8", start, end)) as NetworkVerdict);
          at += end + 1 - start;
          start = end + 1;
        }
      }
    } finally {
      closeSync(file);
    }
  }

  #rotate(): void {
    closeSync(this.#file);
    this.#segment += 1;
    this.#file = this.#open(this.#segment);
    this.#size = 0;
    for (const old of this.#segments().slice(0, -SEGMENTS)) rmSync(this.#path(old), { force: true });
  }

  #open(segment: number): number {
    return openSync(this.#path(segment), "a", 0o600);
  }

  #path(segment: number): string {
    return join(this.#directory, `${segment}.jsonl`);
  }

  #segments(): number[] {
    return readdirSync(this.#directory)
      .flatMap((name) => /^(\d{1,10})\.jsonl$/.exec(name)?.[1] ?? [])
      .map(Number)
      .toSorted((one, other) => one - other);
  }
}

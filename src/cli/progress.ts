import { formatBytes } from "../contract/format.ts";

interface Counter {
  entries: number;
  bytes: number;
}

/** A line on standard error that says how far a copy is; nothing where that is no terminal. */
export interface Progress extends Disposable {
  /** Refreshes the line as chunks pass. */
  watch<Chunk extends Uint8Array>(chunks: AsyncIterable<Chunk>): AsyncIterable<Chunk>;
  /** The same, and counts them. */
  count<Chunk extends Uint8Array>(chunks: AsyncIterable<Chunk>): AsyncIterable<Chunk>;
}

const INTERVAL_MS = 100;

export function showProgress(counter: Counter, quiet: boolean): Progress {
  const shown = process.stderr.isTTY && !quiet;
  const since = performance.now();
  let last = since;
  let drawn = false;
  const draw = () => {
    const now = performance.now();
    if (!shown || now - last < INTERVAL_MS) return;
    last = now;
    drawn = true;
    const rate = formatBytes(Math.round(counter.bytes / ((now - since) / 1000)));
    process.stderr.write(`\r\u001b[K${counter.entries} files, ${formatBytes(counter.bytes)}, ${rate}/s`);
  };
  async function* pass<Chunk extends Uint8Array>(chunks: AsyncIterable<Chunk>, add: boolean): AsyncGenerator<Chunk, void, undefined> {
    for await (const chunk of chunks) {
      if (add) counter.bytes += chunk.length;
      draw();
      yield chunk;
    }
  }
  return {
    watch: (chunks) => pass(chunks, false),
    count: (chunks) => pass(chunks, true),
    [Symbol.dispose]() {
      if (drawn) process.stderr.write("\r\u001b[K");
    },
  };
}

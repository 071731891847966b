import type { ExecEvent, FileEvent, LedgerEvent, OutputChunk } from "../../src/contract/index.ts";
import type { ExecInput } from "../../src/engine/engine.ts";
import type { TinyEngine } from "./tiny-engine.ts";

const PIECE = new Uint8Array(64 * 1024).fill(0x79);
const END = { outcome: "exited", exitCode: 0, signal: null, oomKilled: false, truncated: false } as const;

/** The streams of a {@link TinyEngine}. Commands, by argv[0]: echo, cat, yes, hang, breaks, silent, and `flood N` bytes. */
export function streams(tiny: TinyEngine) {
  const { seen } = tiny;

  async function untilAborted(signal: AbortSignal | undefined): Promise<void> {
    await new Promise<never>((_resolve, reject) => {
      const stop = (): void => {
        seen.aborted++;
        reject(signal?.reason);
      };
      if (signal?.aborted === true) stop();
      else signal?.addEventListener("abort", stop, { once: true });
    });
  }

  async function* flood(limit: number): AsyncGenerator<ExecEvent, void, void> {
    try {
      for (let sent = 0; sent < limit; sent += PIECE.byteLength) {
        seen.producedBytes += PIECE.byteLength;
        yield { type: "stdout", data: PIECE };
        await new Promise(setImmediate);
      }
    } finally {
      seen.finished++;
    }
  }

  async function* exec(input: ExecInput, signal: AbortSignal | undefined): AsyncGenerator<ExecEvent, void, void> {
    const [program = "", argument = ""] = input.argv ?? [];
    yield { type: "started" };
    if (program === "echo") yield { type: "stdout", data: Buffer.from(argument) };
    if (program === "bytes") yield { type: "stdout", data: Uint8Array.from([0xff, 0x00, 0xfe]) };
    if (program === "split") {
      yield { type: "stdout", data: Uint8Array.from([0xc3]) };
      yield { type: "stderr", data: Buffer.from("aside") };
      yield { type: "stdout", data: Uint8Array.from([0xa9]) };
    }
    if (program === "hang") await untilAborted(signal);
    if (program === "breaks") {
      yield { type: "stdout", data: Buffer.from("so far") };
      throw new Error("/secret/host/path is gone");
    }
    if (program === "silent") return;
    if (program === "yes") yield* flood(Infinity);
    if (program === "flood") yield* flood(Number(argument));
    if (program === "cat") {
      if (input.stdin.kind === "bytes") yield { type: "stdout", data: input.stdin.bytes };
      if (input.stdin.kind === "pipe") {
        try {
          for await (const piece of input.stdin.stream) {
            seen.stdinBytes += piece.byteLength;
            yield { type: "stdout", data: piece };
          }
        } catch (error) {
          seen.tornStdin++;
          throw error;
        }
      }
    }
    yield { type: "exited", ...END };
  }

  async function* output(offset: number, follow: boolean, signal: AbortSignal | undefined): AsyncGenerator<OutputChunk, void, void> {
    yield { type: "stdout", data: Buffer.from(`from ${offset}`), offset: offset + 6 };
    yield { type: "stderr", data: Uint8Array.from([0xff]), offset: offset + 7 };
    if (offset === 7) {
      for await (const event of flood(Infinity)) if (event.type === "stdout") yield { type: "stdout", data: event.data, offset: 0 };
    }
    if (offset === 9) throw new Error("/secret/host/path is gone");
    if (!follow) return;
    // Offset 1 stands for a process that has ended; every other goes on.
    if (offset !== 1) await untilAborted(signal);
    yield { type: "ended", ...END, offset: offset + 7 };
  }

  async function* watch(path: string, signal: AbortSignal): AsyncGenerator<FileEvent, void, void> {
    yield { type: "created", path };
    await untilAborted(signal);
  }

  async function* ledger(after: number, signal: AbortSignal): AsyncGenerator<LedgerEvent, void, void> {
    for (const seq of [after + 1, after + 2]) {
      yield { seq, type: "sandbox.ready", at: new Date(0).toISOString(), tenant: "acme", sandbox_id: null, data: {} };
    }
    await untilAborted(signal);
  }

  async function* zeros(size: number): AsyncGenerator<Uint8Array, void, void> {
    for (let left = size; left > 0; left -= PIECE.byteLength) {
      const piece = left < PIECE.byteLength ? PIECE.subarray(0, left) : PIECE;
      seen.producedBytes += piece.byteLength;
      yield piece;
    }
  }

  async function* breaksOff(after: number): AsyncGenerator<Uint8Array, void, void> {
    yield PIECE.subarray(0, after);
    await new Promise(setImmediate);
    throw new Error("/secret/host/path is gone");
  }

  return { exec, output, watch, ledger, zeros, breaksOff, untilAborted };
}

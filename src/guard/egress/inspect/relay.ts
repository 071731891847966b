import type { Readable, Writable } from "node:stream";
import type { Pass } from "./body-scan.ts";

const NOTHING = Buffer.alloc(0);

/**
 * Passes a body on, piece by piece, at the pace of whoever takes it: nothing is kept but what `pass` holds back. `flow` is told of each piece
 * before it goes, and may slow it. Ends the other side; `beforeEnd` is called when all has been passed.
 *
 * Rejects with what `pass` and `flow` throw, and with the errors of both streams; both are left as they are then.
 */
export function relay(
  from: Readable,
  to: Writable,
  pass: Pass,
  flow: (bytes: number) => Promise<void> | undefined,
  beforeEnd?: () => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    let waits = false;
    let settled = false;
    const settle = (error: Error | undefined): void => {
      if (settled) return;
      settled = true;
      from.off("data", onData).off("end", onEnd).off("close", onClose).off("error", settle);
      to.off("close", onFarClose).off("drain", onDrain).off("error", settle);
      if (error === undefined) resolve();
      else reject(error);
    };
    const guarded = (step: () => void): void => {
      try {
        step();
      } catch (thrown) {
        settle(thrown as Error);
      }
    };
    const onDrain = (): void => {
      if (!waits) from.resume();
    };
    /** Calls on when the piece may go: at once, or when `flow` says so. */
    const counted = (bytes: number, go: () => void): void => {
      const wait = bytes === 0 ? undefined : flow(bytes);
      if (wait === undefined) return go();
      waits = true;
      from.pause();
      wait.then(() => {
        waits = false;
        if (!settled) guarded(go);
      }, settle);
    };
    const write = (piece: Buffer): void => {
      if (piece.length > 0 && !to.write(piece)) from.pause();
      else from.resume();
    };
    const onData = (chunk: Buffer): void =>
      guarded(() => {
        const piece = pass(chunk, false);
        counted(piece.length, () => write(piece));
      });
    const onEnd = (): void =>
      guarded(() => {
        const piece = pass(NOTHING, true);
        counted(piece.length, () => {
          if (piece.length > 0) to.write(piece);
          beforeEnd?.();
          to.end();
          settle(undefined);
        });
      });
    const onClose = (): void => {
      if (!from.readableEnded) settle(from.errored ?? new Error("the stream broke off before its end"));
    };
    const onFarClose = (): void => settle(to.errored ?? new Error("the other side has closed"));
    if (from.readableEnded) return onEnd();
    if (from.destroyed) return settle(from.errored ?? new Error("the stream broke off before its end"));
    if (to.destroyed) return onFarClose();
    from.on("data", onData).on("end", onEnd).on("close", onClose).on("error", settle);
    to.on("close", onFarClose).on("drain", onDrain).on("error", settle);
  });
}

/** A whole body, which its sender has said to be small. */
export async function collect(from: Readable): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of from as AsyncIterable<Buffer>) pieces.push(piece);
  return pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces);
}

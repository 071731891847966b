import { once } from "node:events";
import type { Readable, Writable } from "node:stream";
import type { Pass } from "./body-scan.ts";

/**
 * Passes a body on, piece by piece, at the pace of whoever takes it: nothing is kept but what `pass` holds back. `flow` is told of each piece
 * before it goes, and may slow it. Ends the other side; `beforeEnd` is called when all has been passed.
 *
 * @throws what `pass` and `flow` throw, and the errors of both streams.
 */
export async function relay(
  from: Readable,
  to: Writable,
  pass: Pass,
  flow: (bytes: number) => Promise<void> | undefined,
  beforeEnd?: () => void,
): Promise<void> {
  const broken = new AbortController();
  const onClose = (): void => broken.abort(new Error("the other side has closed"));
  const onError = (error: Error): void => broken.abort(error);
  to.once("close", onClose).once("error", onError);
  const write = async (data: Buffer): Promise<void> => {
    if (data.length === 0) return;
    const wait = flow(data.length);
    if (wait !== undefined) await wait;
    broken.signal.throwIfAborted();
    if (!to.write(data)) await once(to, "drain", { signal: broken.signal });
  };
  try {
    for await (const chunk of from as AsyncIterable<Buffer>) await write(pass(chunk, false));
    await write(pass(Buffer.alloc(0), true));
    beforeEnd?.();
    to.end();
  } catch (thrown) {
    throw broken.signal.aborted ? broken.signal.reason : thrown;
  } finally {
    to.removeListener("close", onClose).removeListener("error", onError);
  }
}

import type { PtySize } from "../contract/exec.ts";
import { SandboxerError } from "../contract/errors.ts";
import type { Attachment, AttachEvent, AttachOptions } from "./attachment.ts";
import { concat, toBytes } from "./bytes.ts";
import type { OutputOptions, ProcessOutput } from "./output.ts";

/** The verbs of a process that an attachment needs. */
interface Attachable {
  output(options: OutputOptions): AsyncIterable<ProcessOutput>;
  write(data: Uint8Array): Promise<void>;
  closeStdin(): Promise<void>;
  resize(size: PtySize): Promise<void>;
  signal(name: string): Promise<void>;
}

/** Attaches without a WebSocket: output as server-sent events, everything else as requests, one at a time and in order. */
export function attachOverHttp(target: Attachable, options: AttachOptions): Attachment {
  const detached = new AbortController();
  let last: Promise<void> = Promise.resolve();
  let unsent: Uint8Array[] = [];

  function inOrder(work: () => Promise<void>): Promise<void> {
    const done = last.then(work);
    // The next one goes ahead whatever became of this one, whose failure its own caller sees.
    last = done.catch(() => undefined);
    return done;
  }

  async function* events(): AsyncGenerator<AttachEvent, void, undefined> {
    try {
      for await (const item of target.output({ offset: options.offset ?? 0, follow: true, signal: detached.signal })) yield item;
    } catch (thrown) {
      if (!(detached.signal.aborted && thrown instanceof SandboxerError && thrown.code === "canceled")) throw thrown;
    }
  }

  return {
    [Symbol.asyncIterator]: events,
    write(data) {
      unsent.push(toBytes(data));
      // Key strokes that pile up behind a request under way go out as one.
      return inOrder(async () => {
        if (unsent.length === 0) return;
        const batch = concat(unsent);
        unsent = [];
        await target.write(batch);
      });
    },
    closeStdin: () => inOrder(() => target.closeStdin()),
    resize: (size) => inOrder(() => target.resize(size)),
    signal: (name) => inOrder(() => target.signal(name)),
    detach: () => detached.abort(),
  };
}

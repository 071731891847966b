import type { OutputEvent } from "../contract/exec.ts";
import { fromBase64 } from "./bytes.ts";
import { failureIn, outcomeUnknown } from "./failure.ts";
import { endingOf, type Ending } from "./result.ts";
import { serverEvents } from "./sse.ts";
import { query, type Transport } from "./transport.ts";
import { SandboxerError } from "../contract/errors.ts";

/** A piece of a process's journal. `offset` is where to go on from after it. */
export type ProcessOutput =
  | { readonly type: "stdout" | "stderr"; readonly data: Uint8Array; readonly offset: number }
  | ({ readonly type: "ended"; readonly offset: number } & Ending);

export interface OutputOptions {
  /** Where in the journal to begin; 0 unless given. */
  offset?: number;
  /** Go on until the process ends; the last item is then `ended`. False reads what is there. True unless given. */
  follow?: boolean;
  signal?: AbortSignal;
}

/**
 * Reads a journal. The journal outlives connections, so a broken stream is taken up again where it broke, a bounded
 * number of times without progress; then it throws.
 */
export async function* readOutput(
  transport: Transport,
  path: string,
  options: OutputOptions,
): AsyncGenerator<ProcessOutput, void, undefined> {
  const { follow = true, signal } = options;
  let offset = options.offset ?? 0;
  for (let stalled = 0; stalled < 3; stalled++) {
    const { body } = await transport.stream({
      method: "GET",
      path: `${path}/output${query({ offset, follow })}`,
      accept: "text/event-stream",
      signal,
    });
    try {
      for await (const message of serverEvents(body)) {
        const event = JSON.parse(message.data) as OutputEvent;
        if (event.type === "error") throw failureIn(event.error);
        offset = event.offset;
        stalled = 0;
        if (event.type === "ended") {
          yield { type: "ended", offset, ...endingOf(event) };
          return;
        }
        yield { type: event.type, data: fromBase64(event.data), offset };
      }
      if (!follow) return;
    } catch (thrown) {
      if (thrown instanceof SandboxerError) throw thrown;
      if (signal?.aborted === true) throw new SandboxerError("canceled", "reading the output was canceled", { cause: thrown });
    }
  }
  throw outcomeUnknown("the process's output");
}

import type { Call } from "./call.ts";
import { toPublic, type HeaderRecord } from "./reply.ts";
import { openSink, type Sink } from "./sink.ts";
import { untilAborted } from "./until-aborted.ts";

/**
 * Answers with bytes as they come, at the pace of the reader. The first piece is awaited before the headers go out, so
 * that what fails at the start still gets its own status; a later failure breaks the connection off.
 */
export async function bytes(call: Call, source: AsyncIterable<Uint8Array>, headers: HeaderRecord): Promise<Response> {
  const pieces = untilAborted(source, call.signal, (error) => noteStop(call, error));
  const first = await pieces.next();
  const sink = openSink(call, 200, headers);
  if (call.isHead) {
    await pieces.return();
    sink.end();
  } else {
    void pump(call, sink, first, pieces);
  }
  return sink.response;
}

async function pump(
  call: Call,
  sink: Sink,
  first: IteratorResult<Uint8Array, void>,
  pieces: AsyncGenerator<Uint8Array, void, void>,
): Promise<void> {
  try {
    for (let step = first; step.done !== true; step = await pieces.next()) {
      if (!(await sink.write(step.value))) {
        await pieces.return();
        return;
      }
    }
    sink.end();
  } catch (thrown) {
    const error = toPublic(thrown);
    call.service.log.warn({ request_id: call.requestId, code: error.code, err: thrown }, "a download broke off");
    sink.fail(error);
  }
}

/** A source that failed while it was being stopped: its reader has gone, so the log is who hears of it. */
export function noteStop(call: Call, error: unknown): void {
  const { code } = toPublic(error);
  if (code !== "canceled" && code !== "shutting_down") {
    call.service.log.warn({ request_id: call.requestId, code, err: error }, "a stream failed while it was being stopped");
  }
}

import { SandboxerError } from "../contract/index.ts";
import type { Call } from "./call.ts";
import { toPublic } from "./reply.ts";
import { openSink, type Sink } from "./sink.ts";
import { noteStop } from "./stream.ts";
import { untilAborted } from "./until-aborted.ts";

/** One server-sent event. `data` goes out as JSON. */
export interface ServerEvent {
  readonly type: string;
  readonly data: unknown;
  /** What the client sends back as Last-Event-ID. */
  readonly id?: number;
}

/**
 * Answers with server-sent events at the pace of the reader, with comments as signs of life between them. Whatever is
 * thrown becomes a last event `error`; where `terminal` is given, a source that ends without such an event is an
 * error too, as nobody can tell how the work went.
 */
export function events(call: Call, source: AsyncIterable<ServerEvent>, terminal?: string): Response {
  const sink = openSink(call, 200, { "content-type": "text/event-stream; charset=utf-8" });
  if (call.isHead) {
    call.abandon();
    sink.end();
  } else void pump(call, sink, source, terminal);
  return sink.response;
}

async function pump(call: Call, sink: Sink, source: AsyncIterable<ServerEvent>, terminal: string | undefined): Promise<void> {
  const keepalive = setInterval(() => sink.nudge(": keepalive\n\n"), call.service.limits.keepaliveMs);
  try {
    let last: string | undefined;
    for await (const event of untilAborted(source, call.signal, (error) => noteStop(call, error))) {
      last = event.type;
      if (!(await sink.write(frame(event)))) return;
      if (last === terminal) break;
    }
    if (terminal !== undefined && last !== terminal)
      throw new SandboxerError("outcome_unknown", `the stream ended without "${terminal}": how it ended was not seen`);
  } catch (thrown) {
    const error = toPublic(thrown);
    if (error.code === "internal") call.service.log.error({ request_id: call.requestId, err: thrown }, "a stream failed");
    await sink.write(frame({ type: "error", data: { type: "error", error: error.toWire(call.requestId) } }));
  } finally {
    clearInterval(keepalive);
    sink.end();
  }
}

function frame(event: ServerEvent): string {
  const id = event.id === undefined ? "" : `id: ${event.id}\n`;
  return `${id}event: ${event.type}\ndata: ${JSON.stringify(event.data)}\n\n`;
}

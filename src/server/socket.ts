import { z } from "zod";
import { WebSocket, type RawData } from "ws";
import { parse, PtySize, type OutputChunk, type Principal, type SandboxerError } from "../contract/index.ts";
import type { Service } from "./call.ts";
import { parseJson } from "./document.ts";
import { toPublic } from "./reply.ts";
import { endFields } from "./routes/exec.ts";
import { SignalRequest } from "./schemas.ts";
import { untilAborted } from "./until-aborted.ts";

/** What may wait to be sent before the process's output is no longer read. */
const HIGH_WATER_BYTES = 1024 ** 2;
const STREAM_BYTE = { stdout: 1, stderr: 2 } as const;

const Message = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("resize"), ...PtySize.shape }),
  z.strictObject({ type: z.literal("signal"), ...SignalRequest.shape }),
  z.strictObject({ type: z.literal("close_stdin") }),
]);

export interface Attached {
  readonly service: Service;
  readonly who: Principal;
  readonly sandboxId: string;
  readonly processId: string;
  readonly requestId: string;
  readonly client: WebSocket;
  readonly chunks: AsyncIterable<OutputChunk>;
  /** Stops the reading of output when the client goes away. */
  readonly cancel: AbortController;
}

/** Joins a client and a process until one of them ends. Resolves then; the process is only detached from. */
export async function attach(attached: Attached): Promise<void> {
  const { client, cancel, service } = attached;
  const stopHeartbeat = heartbeat(client, service.limits.keepaliveMs);
  client.once("close", () => cancel.abort());
  // The error itself is followed by "close"; a client that broke the protocol has been told why by ws.
  client.on("error", (error) => service.log.debug({ request_id: attached.requestId, err: error }, "websocket error"));
  receive(attached);
  try {
    await sendOutput(attached);
  } finally {
    stopHeartbeat();
  }
}

async function sendOutput({ client, chunks, cancel, service, requestId }: Attached): Promise<void> {
  try {
    const note = (error: unknown): void =>
      service.log.warn({ request_id: requestId, err: error }, "a process's output failed while it was being stopped");
    for await (const chunk of untilAborted(chunks, cancel.signal, note)) {
      if (chunk.type === "ended") {
        await send(client, JSON.stringify({ type: "ended", ...endFields(chunk), offset: chunk.offset }));
        client.close(1000);
        return;
      }
      const frame = Buffer.allocUnsafe(chunk.data.byteLength + 1);
      frame[0] = STREAM_BYTE[chunk.type];
      frame.set(chunk.data, 1);
      await send(client, frame);
    }
    client.close(1000);
  } catch (thrown) {
    if (cancel.signal.aborted) return;
    const error = toPublic(thrown);
    if (error.code === "internal") service.log.error({ request_id: requestId, err: thrown }, "a websocket failed");
    await sendError(client, error, requestId);
    client.close(1011, error.code);
  }
}

/** Resolves at once while the client keeps up, else when this frame has left. */
async function send(client: WebSocket, frame: Buffer | string): Promise<void> {
  if (client.readyState !== WebSocket.OPEN) return;
  if (client.bufferedAmount < HIGH_WATER_BYTES) {
    client.send(frame);
    return;
  }
  await new Promise<void>((resolve) => {
    // A failed send is followed by "close", which stops the stream.
    client.send(frame, () => resolve());
  });
}

async function sendError(client: WebSocket, error: SandboxerError, requestId: string): Promise<void> {
  await send(client, JSON.stringify({ type: "error", error: error.toWire(requestId) }));
}

/** Handles the client's messages one after another; while one is being handled, no more are read from the connection. */
function receive(attached: Attached): void {
  const { client, requestId, service } = attached;
  let queue = Promise.resolve();
  let waiting = 0;
  client.on("message", (data, isBinary) => {
    waiting++;
    client.pause();
    queue = queue.then(async () => {
      try {
        await handle(attached, data, isBinary);
      } catch (thrown) {
        const error = toPublic(thrown);
        if (error.code === "internal") service.log.error({ request_id: requestId, err: thrown }, "a websocket message failed");
        await sendError(client, error, requestId);
        // What the process refuses is only reported; a client that does not speak the protocol is let go.
        if (error.code === "invalid_request") client.close(1008, error.code);
      }
      if (--waiting === 0) client.resume();
    });
  });
}

async function handle({ service, who, sandboxId, processId }: Attached, data: RawData, isBinary: boolean): Promise<void> {
  const { processes } = service.engine;
  const bytes = Array.isArray(data) ? Buffer.concat(data) : Buffer.isBuffer(data) ? data : Buffer.from(data);
  if (isBinary) {
    await processes.write(who, sandboxId, processId, bytes);
    return;
  }
  const message = parse(Message, parseJson(bytes.toString(), "the message"), { what: "message" });
  switch (message.type) {
    case "resize":
      await processes.resize(who, sandboxId, processId, { cols: message.cols, rows: message.rows });
      break;
    case "signal":
      await processes.signal(who, sandboxId, processId, message.signal);
      break;
    case "close_stdin":
      await processes.closeStdin(who, sandboxId, processId);
      break;
  }
}

/** Pings; a client that did not answer the last one is gone. */
function heartbeat(client: WebSocket, everyMs: number): () => void {
  let alive = true;
  client.on("pong", () => {
    alive = true;
  });
  const timer = setInterval(() => {
    if (!alive) client.terminate();
    alive = false;
    client.ping();
  }, everyMs);
  return () => clearInterval(timer);
}

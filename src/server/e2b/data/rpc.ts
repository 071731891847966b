import { createConnectRouter, createContextValues } from "@connectrpc/connect";
import type { UniversalHandler } from "@connectrpc/connect/protocol";
import { bodyOf } from "../../body.ts";
import { openSink, type Sink } from "../../sink.ts";
import type { DataCall } from "../context.ts";
import { filesystemService } from "./files/service.ts";
import type { Encode } from "./process/follow.ts";
import { processService } from "./process/service.ts";
import { SESSION } from "./rpc-call.ts";
import type { Session } from "./session.ts";
import { FilesystemService } from "./wire/filesystem.ts";
import { ProcessService, ProcessTextService } from "./wire/process.ts";

/** Of one message; a longer standard input comes in several. */
const MAX_MESSAGE_BYTES = 64 * 1024 ** 2;

type Handlers = ReadonlyMap<string, UniversalHandler>;

let handlers: { readonly binary: Handlers; readonly text: Handlers } | undefined;

function handlersOf(service: typeof ProcessService, encode: Encode): Handlers {
  const router = createConnectRouter({ grpc: false, grpcWeb: false, readMaxBytes: MAX_MESSAGE_BYTES });
  router.service(service, processService(encode)).service(FilesystemService, filesystemService);
  return new Map(router.handlers.map((handler) => [handler.requestPath, handler]));
}

function handlerOf(path: string, form: "binary" | "text"): UniversalHandler | undefined {
  handlers ??= { binary: handlersOf(ProcessService, (data) => data), text: handlersOf(ProcessTextService, base64) };
  return handlers[form].get(path);
}

const base64 = (data: Uint8Array): string => Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("base64");

/** Whether a path is a method of E2B's agent. */
export function isRpc(path: string): boolean {
  return handlerOf(path, "text") !== undefined;
}

/** Answers one call of the Connect protocol. */
export async function answerRpc(session: Session, path: string): Promise<Response> {
  const { call, ctx } = session;
  const { request, incoming, signal } = call;
  const handle = handlerOf(path, request.headers.get("content-type")?.includes("json") === true ? "text" : "binary");
  if (handle === undefined) throw new Error(`no method ${path}`);
  const values = createContextValues();
  values.set(SESSION, session);
  const { status, header, body } = await handle({
    httpVersion: incoming?.httpVersion ?? "1.1",
    url: request.url,
    method: request.method,
    header: request.headers,
    body: bodyOf({ incoming, request }, { maxBytes: Number.MAX_SAFE_INTEGER, idleMs: ctx.limits.bodyTimeoutMs }),
    signal,
    contextValues: values,
  });
  // Of a stream too Connect answers once its first piece is there.
  const sink = openSink(answered(call), status, Object.fromEntries(header ?? []), { held: true });
  void pump(session, sink, body);
  return sink.response;
}

async function pump({ ctx, call }: Session, sink: Sink, body: AsyncIterable<Uint8Array> | undefined): Promise<void> {
  try {
    for await (const piece of body ?? []) if (!(await sink.write(piece))) return;
    sink.end();
  } catch (thrown) {
    ctx.log.warn({ request_id: call.requestId, err: thrown }, "a stream of E2B's agent broke off");
    sink.fail(thrown instanceof Error ? thrown : new Error(String(thrown)));
  }
}

/** A data call in the form that sinks take. */
export function answered(call: DataCall) {
  return { requestId: call.requestId, outgoing: call.outgoing, streaming: true, abandon: () => call.destroy(), release: () => {} };
}

import { posix } from "node:path";
import { Readable } from "node:stream";
import { createGzip } from "node:zlib";
import { SandboxerError, type FileInfo } from "../../../../contract/index.ts";
import type { HeaderRecord } from "../../../reply.ts";
import { openSink, type Sink } from "../../../sink.ts";
import { untilAborted } from "../../../until-aborted.ts";
import { respond } from "../respond.ts";
import { answered } from "../rpc.ts";
import type { Session } from "../session.ts";
import { checkUser } from "../user.ts";
import { fileFailure } from "./file-failure.ts";
import { parseRange } from "./range.ts";

interface Opened {
  readonly info: FileInfo;
  readonly body: AsyncIterable<Uint8Array>;
  readonly from: number;
  readonly length: number;
}

/** GET /files?path=: the file's bytes, or a range of them; gzipped for who asks for nothing else. */
export async function download(session: Session): Promise<Response> {
  const { call } = session;
  const { headers, url, method } = call.request;
  const query = new URL(url).searchParams;
  checkUser(query.get("username") ?? "");
  const path = session.path(query.get("path") ?? "");
  const range = parseRange(headers.get("range"), headers.get("if-range"));
  const opened = await open(session, path, range).catch((thrown: unknown) => {
    throw fileFailure(thrown, path);
  });
  const { info, from, length } = opened;
  const common: HeaderRecord = {
    "accept-ranges": "bytes",
    "last-modified": new Date(info.modified_at).toUTCString(),
    vary: "Accept-Encoding",
  };
  if (range !== undefined && length <= 0) {
    await dispose(opened.body);
    return respond(call, 416, { code: 416, message: "the file has no such range" }, { ...common, "content-range": `bytes */${info.size}` });
  }
  // Every fetch takes gzip beside others without having asked; only who names it alone wants it.
  const zips = headers.get("accept-encoding")?.trim() === "gzip" && range === undefined && length > 0;
  const sink = openSink(answered(call), range === undefined ? 200 : 206, {
    ...common,
    "content-type": "application/octet-stream",
    // What a sandbox wrote must never run as a page of this server.
    "content-disposition": `attachment; filename*=UTF-8''${encodeURIComponent(posix.basename(path).toWellFormed())}`,
    ...(zips ? { "content-encoding": "gzip" } : { "content-length": String(length) }),
    ...(range === undefined ? {} : { "content-range": `bytes ${from}-${from + length - 1}/${info.size}` }),
  });
  if (method === "HEAD") {
    await dispose(opened.body);
    sink.end();
  } else {
    void pump(session, sink, zips ? Readable.from(opened.body).pipe(createGzip({ level: 1 })) : opened.body, zips ? undefined : length);
  }
  return sink.response;
}

async function open({ engine, who, id, call }: Session, path: string, range: ReturnType<typeof parseRange>): Promise<Opened> {
  const read = (from: number, length?: number) =>
    engine.files.read(who, id, path, { ...(from === 0 ? {} : { offset: from }), ...(length === undefined ? {} : { length }) }, call.signal);
  if (range === undefined) {
    const whole = await read(0);
    return { ...whole, from: 0, length: whole.info.size };
  }
  if ("from" in range) {
    const part = await read(range.from, range.length);
    return { ...part, from: range.from, length: Math.min(range.length ?? Infinity, part.info.size - range.from) };
  }
  const whole = await read(0);
  const length = Math.min(range.last, whole.info.size);
  const from = whole.info.size - length;
  if (from === 0) return { ...whole, from, length };
  await dispose(whole.body);
  return { ...(await read(from, length)), from, length };
}

/** Lets go of what will not be read. */
async function dispose(body: AsyncIterable<Uint8Array>): Promise<void> {
  const iterator = body[Symbol.asyncIterator]();
  await iterator.next();
  await iterator.return?.();
}

/** @param length What was promised; a file that shrinks meanwhile, or grows, must not tear the connection's framing. */
async function pump({ call, ctx }: Session, sink: Sink, body: AsyncIterable<Uint8Array>, length: number | undefined): Promise<void> {
  const noted = (error: unknown): void => ctx.log.debug({ request_id: call.requestId, err: error }, "a download was stopped");
  let left = length ?? Infinity;
  try {
    for await (const piece of untilAborted(body, call.signal, noted)) {
      const fits = piece.byteLength > left ? piece.subarray(0, left) : piece;
      left -= fits.byteLength;
      if (fits.byteLength > 0 && !(await sink.write(fits))) return;
      if (left === 0) break;
    }
    if (length !== undefined && left > 0) throw new SandboxerError("outcome_unknown", "the file became shorter while it was read");
    sink.end();
  } catch (thrown) {
    ctx.log.warn({ request_id: call.requestId, err: thrown }, "a download broke off");
    sink.fail(thrown instanceof Error ? thrown : new Error(String(thrown)));
  }
}

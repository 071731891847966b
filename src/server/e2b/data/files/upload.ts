import { posix } from "node:path";
import { Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import { SandboxerError } from "../../../../contract/index.ts";
import { bodyOf } from "../../../body.ts";
import { respond } from "../respond.ts";
import type { Session } from "../session.ts";
import { checkUser } from "../user.ts";
import { fileFailure, isDiskFull } from "./file-failure.ts";
import { multipartFiles } from "./multipart.ts";

interface Written {
  readonly name: string;
  readonly type: "file";
  readonly path: string;
}

/** POST /files: a form with a part `file` for each, or the bytes of the one that `path` names. Either may be gzipped. */
export async function upload(session: Session): Promise<Response> {
  const { call, ctx } = session;
  const { headers, url } = call.request;
  const query = new URL(url).searchParams;
  checkUser(query.get("username") ?? "");
  refuseMetadata(headers);
  const limits = { maxBytes: ctx.limits.maxUploadBytes, idleMs: ctx.limits.uploadIdleMs };
  const received = bodyOf({ incoming: call.incoming, request: call.request }, limits);
  const body = unzipped(received, headers.get("content-encoding"), limits.maxBytes);
  const named = query.get("path") ?? "";
  try {
    return respond(call, 200, await writeAll(session, body, headers.get("content-type") ?? "", named));
  } catch (thrown) {
    // A client that still sends would not read the answer before it is through.
    await drain(body);
    if (isDiskFull(thrown))
      return respond(call, 507, { code: 507, message: thrown instanceof Error ? thrown.message : "the disk is full" });
    throw thrown;
  }
}

async function writeAll(session: Session, body: AsyncIterable<Uint8Array>, type: string, named: string): Promise<Written[]> {
  const boundary = /^multipart\/form-data\s*;(?:.*;)?\s*boundary=(?:"([^"]+)"|([^\s;]+))/i.exec(type);
  if (boundary === null) {
    if (named === "") throw new SandboxerError("invalid_request", "path: must be given where the body is not a form");
    return [await write(session, named, body)];
  }
  const written: Written[] = [];
  for await (const part of multipartFiles(body, boundary[1] ?? boundary[2] ?? "")) {
    if (part.name !== "file") continue;
    // A path in the address is that of the one file; without it each part has its own.
    const path = named === "" ? part.filename : named;
    if (path === undefined || path === "") throw new SandboxerError("invalid_request", "a part of the form has no file name");
    if (named !== "" && written.length > 0) throw new SandboxerError("invalid_request", "path: names one file, and the form has several");
    written.push(await write(session, path, part.body));
  }
  if (written.length === 0) throw new SandboxerError("invalid_request", 'the form has no part named "file"');
  return written;
}

async function write(session: Session, named: string, body: AsyncIterable<Uint8Array>): Promise<Written> {
  const { engine, who, id, call } = session;
  const path = session.path(named);
  try {
    await engine.files.write(who, id, path, body, {}, call.signal);
  } catch (thrown) {
    throw fileFailure(thrown, path);
  }
  return { name: posix.basename(path), type: "file", path };
}

async function drain(body: AsyncIterable<Uint8Array>): Promise<void> {
  try {
    for await (const piece of body) void piece;
  } catch (thrown) {
    // What cannot be read is why the request failed, which is what is answered.
    if (!(thrown instanceof Error)) throw thrown;
  }
}

function refuseMetadata(headers: Headers): void {
  for (const name of headers.keys())
    if (name.startsWith("x-metadata-"))
      throw new SandboxerError("invalid_request", "metadata: files here have none, as it needs extended attributes; leave it out");
}

function unzipped(body: AsyncIterable<Uint8Array>, encoding: string | null, maxBytes: number): AsyncIterable<Uint8Array> {
  if (encoding === null || encoding === "identity") return body;
  if (encoding !== "gzip") throw new SandboxerError("unsupported_media_type", `content-encoding: only gzip is known, not ${encoding}`);
  return gunzip(body, maxBytes);
}

/** A bomb must not fill the disk further than a plain body could. */
async function* gunzip(body: AsyncIterable<Uint8Array>, maxBytes: number): AsyncGenerator<Uint8Array> {
  const source = Readable.from(body);
  const plain = createGunzip();
  source.on("error", (error) => plain.destroy(error));
  source.pipe(plain);
  let total = 0;
  try {
    for await (const piece of plain as AsyncIterable<Buffer>) {
      total += piece.byteLength;
      if (total > maxBytes) throw new SandboxerError("body_too_large", `the body is larger than ${maxBytes} bytes`);
      yield piece;
    }
  } catch (thrown) {
    if (thrown instanceof Error && "code" in thrown && typeof thrown.code === "string" && thrown.code.startsWith("Z_"))
      throw new SandboxerError("invalid_request", "the body is not gzip", { cause: thrown });
    throw thrown;
  } finally {
    source.destroy();
  }
}

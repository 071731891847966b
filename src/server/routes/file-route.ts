import type { ErrorCode } from "../../contract/index.ts";
import { bodyStream } from "../body.ts";
import type { Call } from "../call.ts";

export const FILES = "/v1/sandboxes/{id}/files";
export const FILE_TAG = "Files";

/** What every route of a sandbox's files may answer. */
export const FILE_ERRORS: readonly ErrorCode[] = [
  "sandbox_not_found", "wrong_state", "capability_unsupported", "file_not_found", "file_denied", "file_conflict", "backend_unavailable",
]; // prettier-ignore
export const UPLOAD_ERRORS: readonly ErrorCode[] = [...FILE_ERRORS, "body_too_large", "request_timeout", "quota_exceeded"];

/** What comes out of a sandbox is a stranger's: never shown as a page of this server's. */
export const DOWNLOAD_HEADERS = { "content-disposition": "attachment", "content-security-policy": "sandbox; default-src 'none'" };

/** The request's body on its way into a sandbox. */
export function upload(call: Call): AsyncIterable<Uint8Array> {
  const { maxUploadBytes, uploadIdleMs } = call.service.limits;
  return bodyStream(call.context, { maxBytes: maxUploadBytes, idleMs: uploadIdleMs });
}

import { SandboxerError } from "../../contract/index.ts";
import type { HeaderRecord } from "../reply.ts";

/** An error as E2B's wire has it: the SDK reads `code` from the body, and it is the HTTP status. */
export interface E2bError {
  readonly status: number;
  readonly body: { readonly code: number; readonly message: string };
  readonly headers: HeaderRecord;
}

/** For a retryable error that names no time of its own. The SDK's own waits are whole seconds. */
const DEFAULT_RETRY_SECONDS = 1;

/** Our error in E2B's form. What a backend or this version cannot do is a 400 there, as E2B has no 422. */
export function toE2bError(error: SandboxerError): E2bError {
  const status = error.status === 422 ? 400 : error.status;
  const hint = error.details.hint === undefined ? "" : `. ${error.details.hint}`;
  return { status, body: { code: status, message: `${error.message}${hint}` }, headers: retryHeaders(error, status) };
}

/** Only where trying again can help: the SDK repeats whatever carries the header. */
function retryHeaders(error: SandboxerError, status: number): HeaderRecord {
  if ((status !== 429 && status !== 503) || !error.retryable) return {};
  const seconds = Math.max(DEFAULT_RETRY_SECONDS, Math.ceil(error.details.retry_after ?? 0));
  return { "retry-after": String(seconds) };
}

/** What this version, or the sandbox's backend, cannot do; `field` is as the SDK's request names it. */
export function unsupported(field: string, why: string): SandboxerError {
  return new SandboxerError("capability_unsupported", `${field}: ${why}`, { issues: [{ path: field, message: why }] });
}

/** In the words the SDK's users know. One answer for what never was, what has ended and what is another tenant's. */
export function sandboxNotFound(id: string): SandboxerError {
  return new SandboxerError("sandbox_not_found", `sandbox "${id.slice(0, 64)}" not found`);
}

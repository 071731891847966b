/**
 * The one error class and the one code table. `docs/errors.md` is held against this table by a test.
 */

interface ErrorTraits {
  /** HTTP status the API answers with. */
  readonly status: number;
  /** Whether the same request may succeed later without a change. */
  readonly retryable: boolean;
  /** What to do next, in one sentence. */
  readonly hint: string;
}

const e = (status: number, retryable: boolean, hint: string): ErrorTraits => ({ status, retryable, hint });

/** Every error code the API, the SDK and the CLI can answer with. */
export const ERROR_TABLE = {
  invalid_request: e(400, false, "Correct the named field and send the request again."),
  unauthorized: e(401, false, "Send a valid key: 'Authorization: Bearer <key>'. Make one with 'sand-boxer keys create'."),
  forbidden: e(403, false, "Use a key with the scope this call needs."),
  policy_denied: e(403, false, "Ask the operator to change the rule named in the message."),
  policy_unavailable: e(
    503,
    false,
    "The rules of admission cannot be read or evaluated, and nothing is let through; the operator on the machine can apply others.",
  ),
  not_found: e(404, false, "Check the address; the API's routes are listed at /openapi.json."),
  sandbox_not_found: e(404, false, "List the live sandboxes with 'sand-boxer ls'."),
  profile_not_found: e(404, false, "List the profiles with 'sand-boxer profile ls'."),
  secret_not_found: e(404, false, "List the secrets with 'sand-boxer secrets ls'; store one with 'sand-boxer secrets set NAME'."),
  process_not_found: e(404, false, "List the sandbox's processes with 'sand-boxer ps ID'."),
  file_not_found: e(404, false, "List the directory to see what is there."),
  method_not_allowed: e(405, false, "Use a method that the route has; see /openapi.json."),
  wrong_state: e(409, false, "Look at the sandbox's state with 'sand-boxer show ID'; a sandbox that has ended cannot be used again."),
  conflict: e(409, false, "Something with that name or key exists with other content; choose another or read the existing one."),
  file_conflict: e(409, false, "The path is of another kind, is not empty, or exists already; look at it with 'stat' first."),
  file_denied: e(403, false, "The sandbox's user may not touch that path; use a path below its home or workspace."),
  wrong_host: e(421, false, "Ask the control plane of the host that the message names; 'sand-boxer fleet ls' lists them."),
  body_too_large: e(413, false, "Send less, or stream the file through the files API."),
  unsupported_media_type: e(415, false, "Send 'Content-Type: application/json' (or the type the route asks for)."),
  request_timeout: e(408, true, "Send the whole request without long pauses."),
  headers_too_large: e(431, false, "Send smaller or fewer headers, or a shorter address."),
  capability_unsupported: e(422, false, "Take the named field out of the profile, or choose a backend that has the capability."),
  isolation_unavailable: e(422, false, "Run 'sand-boxer doctor' to see what this host can enforce, or lower isolation_level.min."),
  budget_exceeded: e(402, false, "Raise the budget, or free what is reserved by ending sandboxes."),
  account_exhausted: e(402, false, "Add credits with 'sand-boxer account credit', raise the account's limit, or let another account pay."),
  account_not_found: e(404, false, "List the accounts with 'sand-boxer account ls'."),
  budget_not_found: e(404, false, "List the budgets with 'sand-boxer budget ls'."),
  quota_exceeded: e(429, true, "End sandboxes that are no longer needed, or ask for a larger quota."),
  no_backend: e(503, false, "See the reasons for each backend in the message; 'sand-boxer doctor' checks this host."),
  backend_auth: e(502, false, "The backend refused our credentials; correct them in the configuration."),
  backend_unavailable: e(503, true, "The backend does not answer; try again, or allow a fallback."),
  backend_rate_limited: e(429, true, "Wait for the time in Retry-After and try again."),
  port_closed: e(502, true, "Start the program that listens on that port inside the sandbox, on 127.0.0.1 or [::1], and try again."),
  backend_rejected: e(502, false, "The backend refused the request as it is; see the message."),
  ambiguous_create: e(
    502,
    false,
    "It is not known whether the backend made a sandbox; the sweeper will find and end it. Create again with a new key.",
  ),
  provider_missing_dependency: e(501, false, "Install the package named in the message."),
  secret_unavailable: e(503, false, "A secret's value cannot be had: correct its source, or the key of the store, as the message says."),
  setup_failed: e(422, false, "A setup command of the profile failed; see its output in the message."),
  storage_unavailable: e(
    503,
    true,
    "The ledger or the disk cannot be written; free space or make it writable. Ending sandboxes still works.",
  ),
  outcome_unknown: e(502, false, "It is not known how the command ended: look at what it did before you run it again."),
  output_limit: e(422, false, "Stream the output, or write it to a file in the sandbox and read that."),
  shutting_down: e(503, true, "The server is closing; connect again when it is back. Sandboxes live on."),
  timeout: e(504, true, "Give more time with the clock named in the message, or do less at once."),
  canceled: e(499, false, "The caller went away before the work was done."),
  internal: e(500, false, "This is our fault: please report it with the request id."),
} as const satisfies Record<string, ErrorTraits>;

/** A code of {@link ERROR_TABLE}. */
export type ErrorCode = keyof typeof ERROR_TABLE;

/** One thing wrong with a request, at one place. */
export interface Issue {
  /** Path of the field, as in `resources.memory`; empty for the whole body. */
  path: string;
  message: string;
  /** The nearest valid value or key, where there is one. */
  nearest?: string;
}

export interface ErrorDetails {
  /** The step that failed, as in `create`, `exec`, `destroy`, `probe`. */
  phase?: string;
  /** Name of the backend it happened at. */
  backend?: string;
  issues?: Issue[];
  /** The rule that denied it, by its id; `default-deny` where none permits it. */
  rule?: string;
  /** Replaces the table's hint where something more exact is known. */
  hint?: string;
  /** Seconds to wait, from a backend's rate limit. */
  retry_after?: number;
  /** The request it answers, as the server's `x-request-id` named it. Set where an error came over the wire. */
  request_id?: string;
  /** What was caught. Never sent over the wire; secrets must be scrubbed before it is logged. */
  cause?: unknown;
}

/** The wire form of an error: `{"error": {...}}`. */
export interface WireError {
  code: ErrorCode;
  message: string;
  hint: string;
  retryable: boolean;
  phase?: string;
  backend?: string;
  issues?: Issue[];
  rule?: string;
  retry_after?: number;
  request_id?: string;
}

/** The same symbol for every copy of this module. */
const BRAND = Symbol.for("sand-boxer.error");

/** The only error type that crosses a room's border. Everything else that is thrown is `internal`. */
export class SandboxerError extends Error {
  override readonly name = "SandboxerError";
  readonly [BRAND] = true;
  readonly code: ErrorCode;
  readonly details: ErrorDetails;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.details = details;
  }

  /** A provider from another package has its own copy of this class, and its errors count as ours. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    return value instanceof Error && BRAND in value;
  }

  get status(): number {
    return ERROR_TABLE[this.code].status;
  }

  get retryable(): boolean {
    return ERROR_TABLE[this.code].retryable;
  }

  get hint(): string {
    return this.details.hint ?? ERROR_TABLE[this.code].hint;
  }

  /** The id to name when reporting it, where the error came over the wire. */
  get requestId(): string | undefined {
    return this.details.request_id;
  }

  /** The same error with what a caller further out knows; what is already set stays. */
  with(details: ErrorDetails): SandboxerError {
    const merged = new SandboxerError(this.code, this.message, { ...details, ...this.details });
    if (this.stack !== undefined) merged.stack = this.stack;
    return merged;
  }

  toWire(requestId?: string): WireError {
    const { phase, backend, issues, rule, retry_after } = this.details;
    return {
      code: this.code,
      message: this.message,
      hint: this.hint,
      retryable: this.retryable,
      ...(phase === undefined ? {} : { phase }),
      ...(backend === undefined ? {} : { backend }),
      ...(issues === undefined ? {} : { issues }),
      ...(rule === undefined ? {} : { rule }),
      ...(retry_after === undefined ? {} : { retry_after }),
      ...(requestId === undefined ? {} : { request_id: requestId }),
    };
  }

  static fromWire(wire: WireError): SandboxerError {
    const { code, message, phase, backend, issues, rule, hint, retry_after, request_id } = wire;
    return new SandboxerError(code in ERROR_TABLE ? code : "internal", message, {
      hint,
      ...(phase === undefined ? {} : { phase }),
      ...(backend === undefined ? {} : { backend }),
      ...(issues === undefined ? {} : { issues }),
      ...(rule === undefined ? {} : { rule }),
      ...(retry_after === undefined ? {} : { retry_after }),
      ...(request_id === undefined ? {} : { request_id }),
    });
  }

  /** Whatever was thrown, as our error: ours unchanged, an abort as `canceled`, anything else as `internal`. */
  static from(thrown: unknown, details: ErrorDetails = {}): SandboxerError {
    if (thrown instanceof SandboxerError) return thrown.with(details);
    if (thrown instanceof DOMException && thrown.name === "TimeoutError") {
      return new SandboxerError("timeout", "the operation took longer than its limit", { ...details, cause: thrown });
    }
    if (thrown instanceof Error && thrown.name === "AbortError") {
      return new SandboxerError("canceled", "the operation was canceled", { ...details, cause: thrown });
    }
    const message = thrown instanceof Error ? thrown.message : String(thrown);
    return new SandboxerError("internal", message, { ...details, cause: thrown });
  }
}

import { SandboxerError, type ErrorCode, type ErrorDetails } from "../../contract/index.ts";

/** What went wrong at E2B in our codes: by HTTP status, by Connect code, by errno. Texts are shown, never read. */

/** Connect's codes as far as they matter here. */
export const CONNECT = { invalidArgument: 3, notFound: 5, unauthenticated: 16 } as const;

const CONNECT_CODES: Readonly<Record<number, ErrorCode>> = {
  1: "canceled",
  3: "invalid_request",
  4: "timeout",
  7: "backend_auth",
  8: "backend_rate_limited",
  9: "wrong_state",
  12: "capability_unsupported",
  16: "backend_auth",
};

/** The connection could not even be made, so nothing was asked. */
const NEVER_SENT = new Set(["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "EHOSTUNREACH", "ENETUNREACH", "UND_ERR_CONNECT_TIMEOUT"]);

/** Seconds from a Retry-After header: a number, or a date. */
export function retryAfter(headers: Headers, now: number = Date.now()): number | undefined {
  const text = headers.get("retry-after")?.trim();
  if (text === undefined || text === "") return undefined;
  if (/^\d{1,9}$/.test(text)) return Number(text);
  const at = Date.parse(text);
  return Number.isNaN(at) ? undefined : Math.max(0, Math.ceil((at - now) / 1000));
}

/** What an answer of the control plane says of itself: the API's own errors have their status in the body as well. */
export function isFromApi(status: number, body: unknown): boolean {
  return typeof body === "object" && body !== null && "code" in body && body.code === status;
}

/** An answer of the control plane that is an error. */
export function httpFailure(response: Response, body: unknown, details: ErrorDetails): SandboxerError {
  const { status } = response;
  const code: ErrorCode =
    status === 401 || status === 403
      ? "backend_auth"
      : status === 429
        ? "backend_rate_limited"
        : status === 404 && isFromApi(status, body)
          ? "sandbox_not_found"
          : status === 409
            ? "wrong_state"
            : status >= 500 || status === 408
              ? "backend_unavailable"
              : "backend_rejected";
  const after = retryAfter(response.headers);
  return new SandboxerError(code, `E2B answered ${status}${wordsOf(body)}`, {
    ...details,
    ...(after === undefined ? {} : { retry_after: after }),
  });
}

function wordsOf(body: unknown): string {
  const message = typeof body === "object" && body !== null && "message" in body ? body.message : body;
  return typeof message === "string" && message !== "" ? `: ${message.slice(0, 500)}` : "";
}

/** The code of an error of the data plane; undefined for what is none. */
export function connectCode(thrown: unknown): number | undefined {
  return thrown instanceof Error && thrown.name === "ConnectError" && "code" in thrown && typeof thrown.code === "number"
    ? thrown.code
    : undefined;
}

/** What a data-plane call threw. What says nothing of itself is `backend_unavailable`: whoever asked may look at the sandbox. */
export function connectFailure(thrown: unknown, details: ErrorDetails): SandboxerError {
  if (thrown instanceof SandboxerError) return thrown;
  const code = connectCode(thrown);
  if (code === undefined) return networkFailure(thrown, details);
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return new SandboxerError(CONNECT_CODES[code] ?? "backend_unavailable", `E2B's agent answered: ${message.slice(0, 500)}`, {
    ...details,
    cause: thrown,
  });
}

/** A request that got no answer. */
export function networkFailure(thrown: unknown, details: ErrorDetails): SandboxerError {
  if (thrown instanceof SandboxerError) return thrown;
  if (thrown instanceof DOMException && thrown.name === "TimeoutError")
    return new SandboxerError("backend_unavailable", "E2B did not answer in time", { ...details, cause: thrown });
  const errno = errnoOf(thrown);
  const why = errno ?? (thrown instanceof Error ? thrown.message : String(thrown));
  return new SandboxerError("backend_unavailable", `E2B cannot be reached (${why.slice(0, 200)})`, { ...details, cause: thrown });
}

/** Whether the request that failed so has certainly not reached E2B. */
export function wasNeverSent(thrown: unknown): boolean {
  const errno = errnoOf(thrown);
  return errno !== undefined && NEVER_SENT.has(errno);
}

function errnoOf(thrown: unknown): string | undefined {
  for (let at = thrown, depth = 0; at instanceof Error && depth < 5; at = at.cause, depth++)
    if ("code" in at && typeof at.code === "string") return at.code;
  return undefined;
}

import { SandboxerError, type WireError } from "../contract/errors.ts";

/** The error in an answer that is not 2xx. A body that is not ours (a proxy's page) becomes an error by its status. */
export async function failureOf(response: Response): Promise<SandboxerError> {
  const text = await response.text();
  const requestId = response.headers.get("x-request-id") ?? undefined;
  const wire = wireError(text);
  if (wire !== undefined) {
    return SandboxerError.fromWire(requestId === undefined || wire.request_id !== undefined ? wire : { ...wire, request_id: requestId });
  }
  const retryAfter = Number(response.headers.get("retry-after") ?? Number.NaN);
  return new SandboxerError(
    codeOf(response.status),
    `the server answered ${response.status} without an error document: ${text.slice(0, 200).trim() || "(empty)"}`,
    {
      hint: "Check that the url is a sand-boxer server's and that nothing between changes its answers.",
      ...(Number.isFinite(retryAfter) ? { retry_after: retryAfter } : {}),
      ...(requestId === undefined ? {} : { request_id: requestId }),
    },
  );
}

/** An error event inside a stream. */
export function failureIn(event: { code: string; message: string }): SandboxerError {
  return SandboxerError.fromWire(event as WireError);
}

/** Neither answer nor error came: nobody listens, the connection broke, or the time to begin passed. */
export function unreachable(url: string, cause: unknown): SandboxerError {
  const errno = causeCode(cause);
  return new SandboxerError("backend_unavailable", `no answer from ${new URL(url).origin}${errno === undefined ? "" : ` (${errno})`}`, {
    phase: "connect",
    hint: "Start the server with 'sand-boxer serve', or correct SANDBOXER_URL.",
    cause,
  });
}

/** A stream ended without saying how the work ended. It may have run, may still run, or may have failed: never a success. */
export function outcomeUnknown(what: string, cause?: unknown): SandboxerError {
  return new SandboxerError("outcome_unknown", `the stream of ${what} broke before its end was seen: it may have run, or may still run`, {
    phase: "stream",
    hint: "The connection broke. Look at the sandbox with 'sand-boxer show ID' and its events before running it again: it may have run.",
    ...(cause === undefined ? {} : { cause }),
  });
}

function wireError(text: string): WireError | undefined {
  if (!text.startsWith("{")) return undefined;
  try {
    const { error } = JSON.parse(text) as { error?: Partial<WireError> };
    return typeof error?.code === "string" && typeof error.message === "string" ? (error as WireError) : undefined;
  } catch (thrown) {
    if (thrown instanceof SyntaxError) return undefined;
    throw thrown;
  }
}

function codeOf(status: number): ConstructorParameters<typeof SandboxerError>[0] {
  if (status === 401) return "unauthorized";
  if (status === 403) return "forbidden";
  if (status === 404) return "not_found";
  if (status === 413) return "body_too_large";
  if (status === 429) return "backend_rate_limited";
  if (status === 504) return "timeout";
  if (status === 502 || status === 503) return "backend_unavailable";
  return status >= 400 && status < 500 ? "invalid_request" : "internal";
}

function causeCode(cause: unknown): string | undefined {
  for (let at: unknown = cause; at instanceof Error; at = at.cause) {
    const { code } = at as Error & { code?: unknown };
    if (typeof code === "string") return code;
  }
  return undefined;
}

import { setTimeout as sleep } from "node:timers/promises";
import { SandboxerError, type ErrorCode } from "../../contract/index.ts";
import { whyAborted } from "../shared/abort.ts";

interface Where {
  readonly phase: string;
  readonly backend: string;
}

/** The HTTP status of an engine's refusal; undefined where it did not answer. */
export function statusOf(thrown: unknown): number | undefined {
  return thrown instanceof Error && "statusCode" in thrown && typeof thrown.statusCode === "number" ? thrown.statusCode : undefined;
}

/** The engine's answers, as https://docs.docker.com/reference/api/engine/ lists them. */
const CODES: Readonly<Record<number, ErrorCode>> = {
  400: "backend_rejected",
  401: "backend_auth",
  403: "backend_auth",
  404: "sandbox_not_found",
  409: "wrong_state",
  500: "backend_unavailable",
  503: "backend_unavailable",
};

/** Of Node's network errors: nothing had reached the engine. */
const NEVER_SENT = new Set(["ECONNREFUSED", "ENOENT", "EACCES", "ENOTFOUND", "EHOSTUNREACH", "ENETUNREACH"]);
/** Of TLS: the engine, or we, are not who is expected. */
const NOT_TRUSTED = /^(ERR_TLS|ERR_SSL|CERT_|DEPTH_ZERO|UNABLE_TO|SELF_SIGNED|ERR_OSSL)/;

function codeOf(thrown: unknown): string {
  return thrown instanceof Error && "code" in thrown ? String(thrown.code) : "";
}

/** Whether a request surely did not reach the engine. */
export function wasNeverSent(thrown: unknown): boolean {
  return NEVER_SENT.has(codeOf(thrown)) || NOT_TRUSTED.test(codeOf(thrown));
}

/** Of Node's network errors: the connection ended before an answer came. */
const BROKEN = new Set(["EPIPE", "ECONNRESET"]);
/** Between tries, in ms: an ssh whose host went away takes a moment to end, and connections to it are taken until then. */
const AGAIN_AFTER_MS = [20, 100, 300];

/** Asks again where the connection broke under the question. Only for what does no harm when it is done twice. */
export async function askAgain<T>(question: () => Promise<T>, signal: AbortSignal): Promise<T> {
  for (const wait of AGAIN_AFTER_MS) {
    try {
      return await question();
    } catch (thrown) {
      if (!BROKEN.has(codeOf(thrown)) || signal.aborted) throw thrown;
      await sleep(wait);
    }
  }
  return await question();
}

/** The engine's own words. */
function wordsOf(thrown: unknown): string {
  if (thrown instanceof Error && "json" in thrown && typeof thrown.json === "object" && thrown.json !== null && "message" in thrown.json)
    return String(thrown.json.message);
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/** What a call to the engine threw, as our error. A 404 is the sandbox's; whoever asked for something else says so first. */
export function engineFailure(thrown: unknown, where: Where, signal?: AbortSignal): SandboxerError {
  if (thrown instanceof SandboxerError) return thrown;
  if (signal?.aborted === true) return whyAborted(signal).with({ phase: where.phase });
  const status = statusOf(thrown);
  if (status !== undefined)
    return new SandboxerError(CODES[status] ?? "backend_rejected", `the engine: ${wordsOf(thrown)}`, { ...where, cause: thrown });
  const code = codeOf(thrown);
  const hint =
    code === "EACCES"
      ? { hint: "This account may not use the engine's socket: join its group, or name another host." }
      : code === "ENOENT" || code === "ECONNREFUSED"
        ? { hint: "Is the engine running, and is `host` right?" }
        : {};
  return new SandboxerError(
    NOT_TRUSTED.test(code) || code === "EACCES" ? "backend_auth" : "backend_unavailable",
    `the engine does not answer: ${wordsOf(thrown)}`,
    {
      ...where,
      ...hint,
      cause: thrown,
    },
  );
}

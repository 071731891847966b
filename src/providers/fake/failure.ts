import { SandboxerError } from "../../contract/index.ts";
import type { ErrorDetails } from "../../contract/index.ts";

/** What was thrown, as our error; where the caller gave up, by why it did: `timeout` or `canceled`. */
export function failure(thrown: unknown, signal: AbortSignal, details: ErrorDetails): SandboxerError {
  if (thrown instanceof SandboxerError || !signal.aborted) return SandboxerError.from(thrown, details);
  const reason: unknown = signal.reason;
  if (reason instanceof SandboxerError || (reason instanceof DOMException && reason.name === "TimeoutError"))
    return SandboxerError.from(reason, details);
  return new SandboxerError("canceled", "the caller gave up", { ...details, cause: thrown });
}

import { SandboxerError } from "../../contract/index.ts";

/** Why the caller gave up, as our error: `timeout` where its time was over, else `canceled`. */
export function whyAborted(signal: AbortSignal): SandboxerError {
  const reason: unknown = signal.reason;
  if (reason instanceof SandboxerError || (reason instanceof DOMException && reason.name === "TimeoutError"))
    return SandboxerError.from(reason);
  return new SandboxerError("canceled", "the caller gave up", { cause: reason });
}

export function throwIfAborted(signal: AbortSignal): void {
  if (signal.aborted) throw whyAborted(signal);
}

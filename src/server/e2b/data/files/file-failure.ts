import { SandboxerError } from "../../../../contract/index.ts";

/**
 * An error of a read or a write by E2B's numbers: 400 for a directory where a file is needed, 507 for a full disk. The
 * rest stays as it is.
 */
export function fileFailure(thrown: unknown, path: string): unknown {
  if (!(thrown instanceof SandboxerError)) return thrown;
  if (thrown.code === "file_not_found") return new SandboxerError("file_not_found", `path '${path}' does not exist`, { cause: thrown });
  if (thrown.code === "file_conflict")
    return new SandboxerError("invalid_request", `path '${path}' is a directory, or not a regular file`, { cause: thrown });
  return thrown;
}

/** Whether the sandbox's disk is what was too small. */
export function isDiskFull(thrown: unknown): boolean {
  return thrown instanceof SandboxerError && thrown.code === "quota_exceeded";
}

import { SandboxerError } from "../contract/index.ts";

/** SQLite's primary result codes that mean "the file cannot be read or written", in words. */
const STORAGE_CODES: Readonly<Record<number, string>> = {
  3: "permission denied",
  5: "locked by another process",
  6: "locked by another process",
  8: "read-only",
  10: "input/output error",
  11: "corrupt",
  13: "disk full",
  14: "cannot be opened",
  26: "not a database",
};

const PRIMARY_KEY_VIOLATION = 1555;
const UNIQUE_VIOLATION = 2067;
const POSTGRES_UNIQUE_VIOLATION = "23505";

function resultCode(thrown: unknown): number | undefined {
  if (!(thrown instanceof Error) || !("errcode" in thrown)) return undefined;
  return typeof thrown.errcode === "number" ? thrown.errcode : undefined;
}

/** Whether an insert was refused because a row with that key exists. */
export function isUniqueViolation(thrown: unknown): boolean {
  const cause = thrown instanceof SandboxerError ? thrown.details.cause : thrown;
  const code = resultCode(cause);
  if (code === PRIMARY_KEY_VIOLATION || code === UNIQUE_VIOLATION) return true;
  return cause instanceof Error && "code" in cause && cause.code === POSTGRES_UNIQUE_VIOLATION;
}

/** Whether another process has the lock that a statement needs. */
export function isBusy(thrown: unknown): boolean {
  const code = resultCode(thrown instanceof SandboxerError ? thrown.details.cause : thrown);
  return code !== undefined && (code & 0xff) === 5;
}

/** What SQLite threw as our error: `storage_unavailable` for what the disk or the file did, else `internal`. */
export function toLedgerError(thrown: unknown): SandboxerError {
  if (thrown instanceof SandboxerError) return thrown;
  const code = resultCode(thrown);
  const words = code === undefined ? undefined : STORAGE_CODES[code & 0xff];
  if (words === undefined) return SandboxerError.from(thrown, { phase: "ledger" });
  const detail = thrown instanceof Error ? thrown.message : String(thrown);
  return new SandboxerError("storage_unavailable", `the ledger is ${words}: ${detail}`, { phase: "ledger", cause: thrown });
}

import { SandboxerError } from "../../contract/index.ts";

/** SQLSTATE classes and codes that mean "the database cannot be read or written now", in words. */
const STORAGE_STATES: Readonly<Record<string, string>> = {
  "08": "not reachable",
  "28": "refusing this user",
  "3D": "missing",
  "53": "out of room, memory or connections",
  "57": "stopping, or ended the connection",
  "58": "failing on its own disk",
  XX: "damaged",
  "25006": "read-only",
  "25P03": "waiting no longer for a transaction that stood still",
  "40001": "busy with other writers",
  "40P01": "busy with other writers",
  "42501": "refusing this user",
  "55P03": "locked by another writer",
};

/** The SQLSTATE of what PostgreSQL answered, or the system's name of what the socket did. */
function stateOf(thrown: unknown): string | undefined {
  return thrown instanceof Error && "code" in thrown && typeof thrown.code === "string" ? thrown.code : undefined;
}

/** Whether PostgreSQL itself answered: everything else that a query throws is the connection's doing. */
function isAnswer(thrown: unknown): boolean {
  return thrown instanceof Error && "severity" in thrown;
}

/** What a query or a connect threw as our error: `storage_unavailable` for what the connection or the server did, else `internal`. */
export function fromPostgres(thrown: unknown, phase = "ledger"): SandboxerError {
  if (thrown instanceof SandboxerError) return thrown;
  const state = stateOf(thrown);
  const words = isAnswer(thrown) && state !== undefined ? (STORAGE_STATES[state] ?? STORAGE_STATES[state.slice(0, 2)]) : "not reachable";
  if (words === undefined) return SandboxerError.from(thrown, { phase });
  const detail = thrown instanceof Error && thrown.message !== "" ? thrown.message : (state ?? String(thrown));
  return new SandboxerError("storage_unavailable", `the ledger's PostgreSQL is ${words}: ${detail}`, { phase, cause: thrown });
}

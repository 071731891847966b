import { promises as timers } from "node:timers";
import { type Sandbox, SandboxerError, type ErrorCode, ERROR_TABLE } from "../contract/index.ts";
import { findIdempotent, findSandbox } from "../ledger/index.ts";
import type { Context } from "./context.ts";
import { toSandbox } from "./view.ts";

/** Between looks at a create that another caller began, perhaps in another process. */
const FIRST_LOOK_MS = 5;
const LAST_LOOK_MS = 250;

/**
 * The sandbox that a create with the same key made, or undefined where there was none. One that is still being made
 * is waited for; one that failed answers with the same error.
 *
 * @throws SandboxerError `conflict` where the key was used with another body.
 */
export async function replay(ctx: Context, tenant: string, key: string, digest: string, signal: AbortSignal): Promise<Sandbox | undefined> {
  const known = await findIdempotent(ctx.ledger.db, tenant, key);
  if (known === undefined) return undefined;
  if (known.digest !== digest) {
    throw new SandboxerError("conflict", `the Idempotency-Key was used before with another request (sandbox ${known.sandbox_id})`, {
      hint: "Use a new key for a new request.",
    });
  }
  for (let wait = FIRST_LOOK_MS; ; wait = Math.min(wait * 2, LAST_LOOK_MS)) {
    const row = await findSandbox(ctx.ledger.db, known.sandbox_id);
    if (row === undefined) throw new SandboxerError("internal", `the ledger names ${known.sandbox_id} for a key but has no such sandbox`);
    if (row.error_code !== null && row.ready_at === null) {
      const code: ErrorCode = row.error_code in ERROR_TABLE ? (row.error_code as ErrorCode) : "internal";
      throw new SandboxerError(code, row.error_message ?? "the create with this key failed", { phase: "create", backend: row.backend });
    }
    if (row.state !== "provisioning") return toSandbox(row);
    signal.throwIfAborted();
    await timers.setTimeout(wait, undefined, { signal });
  }
}

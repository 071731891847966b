import { promises as timers } from "node:timers";
import { type Principal, type Profile, SandboxerError } from "../contract/index.ts";
import type { Request } from "../guard/index.ts";
import { findInScope, findSandbox, lastInScope, type SandboxRow, type Scope } from "../ledger/index.ts";
import { requireHere } from "./access.ts";
import type { Context } from "./context.ts";
import { rouse } from "./rest.ts";

/** Between looks at one that another caller is making. */
const FIRST_LOOK_MS = 5;
const LAST_LOOK_MS = 250;
/** Of a tenant's one sandbox of a profile, where no other key is given. */
const SHARED_KEY = "shared";

/**
 * By which the sandbox is found again; null: by nothing, it is one of its own. An agent's key is the label `agent` unless it is given.
 *
 * @throws SandboxerError `invalid_request` where an agent's sandbox is asked for and nothing says whose.
 */
export function scopeOf(
  who: Principal,
  { name, scope: kind = "session" }: Pick<Profile, "name" | "scope">,
  request: Request,
): Scope | null {
  const implied = kind === "agent" ? request.metadata?.["agent"] : kind === "shared" ? SHARED_KEY : undefined;
  const key = request.scope_key ?? implied;
  if (key !== undefined) return { tenant: who.tenant, project: who.project ?? null, profile: name, kind, key };
  if (kind !== "agent") return null;
  const message = 'needs the agent\'s key: scope_key, or the label "agent"';
  throw new SandboxerError("invalid_request", `scope_key: profile ${name} has scope agent, and ${message}`, {
    issues: [{ path: "scope_key", message }],
  });
}

/**
 * The live sandbox that has the key, running: one that is being made is waited for, one that stands still is woken. undefined: there is
 * none.
 *
 * @throws SandboxerError `wrong_host`, `backend_unavailable` where its backend does not answer for it, `timeout`, or what a wake throws.
 */
export async function attach(ctx: Context, scope: Scope, withinMs: number, signal: AbortSignal): Promise<SandboxRow | undefined> {
  const until = performance.now() + withinMs;
  for (let wait = FIRST_LOOK_MS; ; wait = Math.min(wait * 2, LAST_LOOK_MS)) {
    const row = await findInScope(ctx.ledger.db, scope);
    if (row === undefined) return undefined;
    if (row.state !== "provisioning") {
      await requireHere(ctx, row);
      const running = await runs(ctx, row);
      if (running !== undefined) return running;
    }
    if (performance.now() > until)
      throw new SandboxerError("timeout", `sandbox ${row.id}, which has this scope_key, was not ready in time`, { phase: "attach" });
    signal.throwIfAborted();
    await timers.setTimeout(wait, undefined, { signal });
  }
}

/** undefined: it has ended meanwhile. */
async function runs(ctx: Context, row: SandboxRow): Promise<SandboxRow | undefined> {
  if (row.state === "lost")
    throw new SandboxerError(
      "backend_unavailable",
      `sandbox ${row.id} has this scope_key, and backend ${row.backend} does not answer for it`,
      {
        phase: "attach",
        backend: row.backend,
        hint: `Try again later, or end it ('sand-boxer rm ${row.id}') to have a new one.`,
      },
    );
  try {
    const running = row.state === "ready" ? row : await rouse(ctx, row, "use");
    await ctx.activity.touch(running);
    return running;
  } catch (thrown) {
    const now = await findSandbox(ctx.ledger.db, row.id);
    if (now === undefined || now.ended_at !== null || now.state === "stopping") return undefined;
    throw thrown;
  }
}

/** Whether an earlier one had the key, and did not end because its user wanted that: the new one must not pass as it. */
export async function wasLost(ctx: Context, scope: Scope): Promise<boolean> {
  const last = await lastInScope(ctx.ledger.db, scope);
  return last !== undefined && last.termination_reason !== "user";
}

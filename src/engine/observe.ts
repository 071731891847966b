import { isTerminal, type Observed } from "../contract/index.ts";
import { findSandbox, type SandboxRow } from "../ledger/index.ts";
import { type Context, op, providerOf } from "./context.ts";
import { isBeingMoved } from "./rest.ts";
import { keepDisk, settleRest } from "./resting.ts";
import { endSandbox, type Why } from "./teardown.ts";
import { storedRef } from "./view.ts";

/** A sandbox found gone this close before its max_life ended by its own clock. */
const OWN_CLOCK_SLACK_MS = 3000;

function reasonFor(ctx: Context, row: SandboxRow, observed: Observed | "absent"): Why {
  const expired: Why = { reason: "expired", detail: "max_life, ended by its own clock" };
  const because = observed === "absent" ? "unknown" : (observed.stoppedBecause ?? "unknown");
  if (because === "expired") return expired;
  if (because === "oom") return { reason: "oom", detail: "its first process was killed for want of memory" };
  if (because === "exited") return { reason: "error", detail: "its first process exited" };
  if (ctx.clock.now() >= row.max_life_at - OWN_CLOCK_SLACK_MS) return expired;
  const found = observed === "absent" ? "no longer has it" : "found it stopped, and does not know why";
  return { reason: "backend_lost", detail: `backend ${row.backend} ${found}` };
}

export interface Look {
  readonly row: SandboxRow;
  /** It has ended or is ending. */
  readonly gone: boolean;
  /** This look found that out, and nobody else had ended it. */
  readonly found: boolean;
}

/**
 * Asks the backend how a sandbox stands, and ends it truthfully where it is gone or has stopped; one that stands still where it should not, or
 * the other way round, is brought to where it should be. Throws what the backend throws.
 */
export async function lookAgain(ctx: Context, seen: SandboxRow): Promise<Look> {
  const row = (await findSandbox(ctx.ledger.db, seen.id)) ?? seen;
  const ref = storedRef(row);
  const ending = isTerminal(row.state) || row.state === "stopping";
  if (ending || ref === null) return { row, gone: ending, found: false };
  if (await isBeingMoved(ctx, row)) return { row, gone: false, found: false };
  const observed = await providerOf(ctx, row.backend).inspect(ref, op(ctx));
  // Whoever moved it meanwhile knows better.
  const now = (await findSandbox(ctx.ledger.db, row.id)) ?? row;
  if (now.state !== row.state || now.desired !== row.desired || ctx.live.isMoving(row.id))
    return { row: now, gone: isTerminal(now.state) || now.state === "stopping", found: false };
  if (observed !== "absent" && observed.state !== "stopped")
    return { row: await settleRest(ctx, row, observed.state), gone: false, found: false };
  const kept = await keepDisk(ctx, row, observed);
  if (kept !== undefined) return { row: kept, gone: false, found: false };
  const why = reasonFor(ctx, row, observed);
  const ended = await endSandbox(ctx, row, why);
  return { row: ended, gone: true, found: ended.termination_reason === why.reason };
}

import { isTerminal, type Observed } from "../contract/index.ts";
import { findSandbox, type SandboxRow } from "../ledger/index.ts";
import { type Context, op, providerOf } from "./context.ts";
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

/** Asks the backend how a sandbox stands, and ends it truthfully where it is gone or has stopped. Throws what the backend throws. */
export async function lookAgain(ctx: Context, seen: SandboxRow): Promise<{ row: SandboxRow; gone: boolean }> {
  const row = (await findSandbox(ctx.ledger.db, seen.id)) ?? seen;
  const ref = storedRef(row);
  if (isTerminal(row.state) || row.state === "stopping" || ref === null) return { row, gone: isTerminal(row.state) || row.state === "stopping" };
  const observed = await providerOf(ctx, row.backend).inspect(ref, op(ctx));
  if (observed !== "absent" && observed.state !== "stopped") return { row, gone: false };
  return { row: await endSandbox(ctx, row, reasonFor(ctx, row, observed)), gone: true };
}

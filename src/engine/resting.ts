import type { Observed, Ref } from "../contract/index.ts";
import { findSandbox, type SandboxRow } from "../ledger/index.ts";
import { type Context, op, providerOf } from "./context.ts";
import { move } from "./lifecycle.ts";
import { isBeingMoved, rest, rouse } from "./rest.ts";
import { storedRef } from "./view.ts";

/** What is left of its life must be worth keeping its disk for. */
const WORTH_MS = 3000;

/**
 * Brings row and backend together where one of them stands still: where a crash or a backend's own doing left them apart, the row's
 * `desired` says which way. Answers the row as it is then. What someone alive is moving is left alone.
 */
export async function settleRest(ctx: Context, row: SandboxRow, observed: "running" | "paused" | "suspended"): Promise<SandboxRow> {
  const { state, desired } = row;
  if (state !== "ready" && state !== "paused" && state !== "suspended") return row;
  const agree = state === desired || (state === "ready" && desired === "running");
  const there = observed === (state === "ready" ? "running" : state);
  if ((agree && there) || desired === "terminated" || (await isBeingMoved(ctx, row))) return row;
  if (desired === "running") return state === "ready" ? comeBack(ctx, row, observed) : rouse(ctx, row, "repair");
  if (state === desired) return restAgain(ctx, row, observed);
  return rest(ctx, row, desired, { because: row.rest_because ?? "user", found: observed === "running" ? "running" : "still" });
}

/** What is done to it where it is still as it was seen, with nobody else at it. */
function unmoved(ctx: Context, seen: SandboxRow, work: (ref: Ref) => Promise<SandboxRow>): Promise<SandboxRow> {
  return ctx.live.inTurn(seen.id, async () => {
    const row = (await findSandbox(ctx.ledger.db, seen.id)) ?? seen;
    const ref = storedRef(row);
    return row.state !== seen.state || row.desired !== seen.desired || row.owner !== seen.owner || ref === null ? row : work(ref);
  });
}

/** The row says that it runs, and the backend does not. */
async function comeBack(ctx: Context, row: SandboxRow, observed: "running" | "paused" | "suspended"): Promise<SandboxRow> {
  if (observed === "suspended") return rest(ctx, row, "suspended", { because: "stopped", found: "still" });
  return unmoved(ctx, row, async (ref) => {
    await providerOf(ctx, row.backend).pause?.resume(ref, op(ctx));
    return row;
  });
}

/** The row says that it stands still, and is metered so; the backend lets it run. */
function restAgain(ctx: Context, row: SandboxRow, observed: "running" | "paused" | "suspended"): Promise<SandboxRow> {
  const { pause, suspend } = providerOf(ctx, row.backend);
  return unmoved(ctx, row, async (ref) => {
    if (row.state === "paused" && observed === "running") await pause?.pause(ref, op(ctx));
    else await suspend?.suspend(ref, op(ctx));
    if (row.state === "suspended" || observed === "running") return row;
    // Its memory is gone, and its disk is not.
    const patch = { desired: "suspended", rest_because: "stopped" } as const;
    return ctx.ledger.transaction((tx) => move(tx, row.id, "suspend", { at: ctx.clock.now(), patch }));
  });
}

/**
 * A persistent sandbox that has stopped, as after a reboot of its host: what is left of it is let go of but its disk. undefined where that
 * is not for it, and it has ended.
 */
export async function keepDisk(ctx: Context, seen: SandboxRow, observed: Observed | "absent"): Promise<SandboxRow | undefined> {
  if (seen.persistence !== "persistent" || observed === "absent" || observed.stoppedBecause === "expired") return undefined;
  if (providerOf(ctx, seen.backend).suspend === undefined || ctx.clock.now() >= seen.max_life_at - WORTH_MS) return undefined;
  if (seen.state === "suspended") return seen;
  if (seen.state === "lost") await ctx.ledger.transaction((tx) => move(tx, seen.id, "recover", { at: ctx.clock.now() }));
  const row = (await findSandbox(ctx.ledger.db, seen.id)) ?? seen;
  return rest(ctx, row, "suspended", { because: "stopped", found: "still" });
}

import { isTerminal, type RestState, SandboxerError } from "../contract/index.ts";
import { dueSandboxes, findSandbox, openExecs, type SandboxRow } from "../ledger/index.ts";
import { type Context, durability, hostOf } from "./context.ts";
import { followClock } from "./clock-jump.ts";
import { move } from "./lifecycle.ts";
import { parallel } from "./parallel.ts";
import type { Report } from "./report.ts";
import { rest } from "./rest.ts";
import { endSandbox, type Why } from "./teardown.ts";

const AT_ONCE = 8;

interface Due extends Why {
  /** Where it is brought to rest in place of its end. */
  readonly rest?: RestState;
}

const RESTS: Readonly<Record<string, RestState>> = { pause: "paused", suspend: "suspended" };
const resting = ({ state }: SandboxRow): boolean => state === "paused" || state === "suspended";

function dueNow(ctx: Context, row: SandboxRow, open: number): Due | undefined {
  const now = ctx.clock.now();
  const instead = (what: string): { rest?: RestState } => {
    const rest = RESTS[what];
    return rest === undefined ? {} : { rest };
  };
  if (row.max_life_at <= now) return { reason: "expired", detail: "max_life" };
  if (row.expires_at <= now) return { reason: "expired", detail: "ttl", ...instead(row.on_expire) };
  // What stands still is not idle.
  if (row.idle_at !== null && row.idle_at <= now && open === 0 && !resting(row))
    return { reason: "idle", detail: `unused for ${row.idle_seconds}s`, ...instead(row.on_idle) };
  return undefined;
}

/** Brings it to rest where it is still due for that when it begins. */
async function restIfDue(ctx: Context, seen: SandboxRow, to: RestState, because: "idle" | "expired"): Promise<void> {
  if (seen.state === "lost") return;
  await rest(ctx, seen, to, {
    because,
    due: async (tx, row) => (row.state === "ready" || resting(row)) && dueNow(ctx, row, (await openExecs(tx, row.id)).length)?.rest === to,
  });
}

/** Writes `stopping` for one that is still due: looked at again in the transaction, so a renew or an exec that came first wins. */
async function stopIfDue(ctx: Context, seen: SandboxRow): Promise<SandboxRow | undefined> {
  return ctx.ledger.transaction(
    async (tx) => {
      const row = await findSandbox(tx, seen.id);
      if (row === undefined || isTerminal(row.state) || row.state === "stopping" || row.state === "provisioning") return undefined;
      const why = dueNow(ctx, row, (await openExecs(tx, row.id)).length);
      if (why === undefined || why.rest !== undefined) return undefined;
      const patch = { owner: ctx.instance, desired: "terminated" as const, termination_reason: why.reason, termination_detail: why.detail };
      return move(tx, row.id, "stop", { at: ctx.clock.now(), patch });
    },
    durability(ctx, seen.backend),
  );
}

async function endIfDue(ctx: Context, seen: SandboxRow, report: Report): Promise<void> {
  const due = dueNow(ctx, seen, (await openExecs(ctx.ledger.db, seen.id)).length);
  if (due?.rest !== undefined) return restIfDue(ctx, seen, due.rest, due.reason === "idle" ? "idle" : "expired");
  let stopped: SandboxRow | undefined;
  try {
    stopped = await stopIfDue(ctx, seen);
  } catch (thrown) {
    if (!(thrown instanceof SandboxerError) || thrown.code !== "storage_unavailable") throw thrown;
    // Nothing can be renewed either while the ledger cannot be written: what was due a moment ago still is.
    const why = dueNow(ctx, seen, (await openExecs(ctx.ledger.db, seen.id)).length);
    stopped = why === undefined ? undefined : { ...seen, termination_reason: why.reason, termination_detail: why.detail };
  }
  if (stopped === undefined) return;
  const ended = await endSandbox(ctx, stopped, { reason: stopped.termination_reason ?? "expired", detail: stopped.termination_detail });
  report.ended(ended.id, ended.termination_reason);
}

/** Ends what its ttl, max_life or idle clock says. Cheap where nothing is due: three index look-ups. */
export async function reap(ctx: Context, report: Report): Promise<void> {
  await followClock(ctx);
  await report.try({}, () => ctx.activity.flush());
  const due = await dueSandboxes(ctx.ledger.db, ctx.clock.now(), hostOf(ctx));
  await parallel(due, AT_ONCE, (row) => report.try({ backend: row.backend, sandboxId: row.id }, () => endIfDue(ctx, row, report)));
}

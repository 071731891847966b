import { SandboxerError } from "../contract/index.ts";
import { appendEvent, readMeta, shiftDeadlines, shiftUsage, writeMeta } from "../ledger/index.ts";
import type { Clock } from "./clock.ts";
import type { Context } from "./context.ts";

/** A step of the wall clock below this is left alone: no deadline is that exact. */
const JUMP_MS = 5000;

/**
 * Finds out whether the wall clock was set since anyone last looked, and moves every live deadline along: a ttl is a
 * time that passes, so a clock set a day ahead ends nothing and one set back keeps nothing alive. Uptime, which counts
 * sleep and is never set, tells the difference. Runs in a transaction, so that of two processes one does it.
 * Answers by how many milliseconds it moved.
 */
export async function followClock(ctx: Context): Promise<number> {
  const { clock, ledger } = ctx;
  if (clock.sync !== undefined) return 0;
  const before = jumpSince(clock, await readMeta(ledger.db, "clock"));
  if (before !== null && Math.abs(before) < JUMP_MS) return 0;
  try {
    return await record(ctx);
  } catch (thrown) {
    // Without a known difference there is no known jump, and what is due is due; with one, nothing may end before it is written.
    if (before !== null || !(thrown instanceof SandboxerError) || thrown.code !== "storage_unavailable") throw thrown;
    return 0;
  }
}

function offset(clock: Clock): number {
  return Math.round(clock.now() - clock.uptime());
}

/** How far the wall clock was set since that record; null without one, or with one of another boot. */
function jumpSince(clock: Clock, text: string | undefined): number | null {
  const known = text === undefined ? undefined : (JSON.parse(text) as { boot: string; offset: number });
  return known?.boot === clock.bootId ? offset(clock) - known.offset : null;
}

function record(ctx: Context): Promise<number> {
  const { clock, ledger } = ctx;
  return ledger.transaction(async (tx) => {
    const by = jumpSince(clock, await readMeta(tx, "clock"));
    if (by !== null && Math.abs(by) < JUMP_MS) return 0;
    await writeMeta(tx, "clock", JSON.stringify({ boot: clock.bootId, offset: offset(clock) }));
    // Another boot: uptime began anew, and only the wall clock links the two.
    if (by === null) return 0;
    await shiftDeadlines(tx, by);
    await shiftUsage(tx, by);
    await appendEvent(tx, { type: "clock.jumped", at: clock.now(), tenant: "default", sandboxId: null, data: { by_ms: by } });
    ctx.log.warn({ by_ms: by }, "the wall clock was set; every live deadline was moved along");
    return by;
  });
}

import { appendEvent, readMeta, shiftDeadlines, shiftUsage, writeMeta } from "../ledger/index.ts";
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
  const offset = () => Math.round(clock.now() - clock.uptime());
  const parse = (text: string | undefined) => (text === undefined ? undefined : (JSON.parse(text) as { boot: string; offset: number }));
  const jumped = (known: { boot: string; offset: number } | undefined) => (known?.boot === clock.bootId ? offset() - known.offset : null);
  const before = jumped(parse(await readMeta(ledger.db, "clock")));
  if (before !== null && Math.abs(before) < JUMP_MS) return 0;
  return ledger.transaction(async (tx) => {
    const by = jumped(parse(await readMeta(tx, "clock")));
    // Another boot: uptime began anew, and only the wall clock links the two.
    if (by !== null && Math.abs(by) < JUMP_MS) return 0;
    await writeMeta(tx, "clock", JSON.stringify({ boot: clock.bootId, offset: offset() }));
    if (by === null) return 0;
    await shiftDeadlines(tx, by);
    await shiftUsage(tx, by);
    await appendEvent(tx, { type: "clock.jumped", at: clock.now(), tenant: "default", sandboxId: null, data: { by_ms: by } });
    ctx.log.warn({ by_ms: by }, "the wall clock was set; every live deadline was moved along");
    return by;
  });
}

import { newId } from "../../contract/index.ts";
import { readMeta, writeMeta } from "../../ledger/index.ts";
import type { Context } from "../context.ts";

const KEY = "event_source";
const known = new WeakMap<object, string>();

/** The CloudEvents source: the name of this ledger, made once, so that it stays the same for all that share or restore it. */
export async function eventSource(ctx: Context): Promise<string> {
  const found = known.get(ctx.ledger) ?? (await readMeta(ctx.ledger.db, KEY)) ?? (await make(ctx));
  known.set(ctx.ledger, found);
  return found;
}

function make(ctx: Context): Promise<string> {
  return ctx.ledger.transaction(async (tx) => {
    // Another process may have been first: its name holds.
    const there = await readMeta(tx, KEY);
    if (there !== undefined) return there;
    const source = `urn:sand-boxer:${newId("instance")}`;
    await writeMeta(tx, KEY, source);
    return source;
  });
}

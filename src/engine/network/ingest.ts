import type { NetworkVerdict } from "../../contract/index.ts";
import { appendVerdicts, type Db, findNetwork, readMeta, trimVerdicts, writeMeta } from "../../ledger/index.ts";
import type { Context } from "../context.ts";
import { tellDenials } from "./denials.ts";
import { stopFor, type Violation, violationsAmong } from "./violation.ts";

const CURSOR = "network_cursor";
const BATCH = 500;
/** Entries that are kept of one sandbox. */
const KEEP = 10_000;
/** Batches of one call: a flood is gone on with by the next. */
const BATCHES = 40;

interface Page {
  readonly after: string | null;
  readonly entries: readonly NetworkVerdict[];
  readonly cursor: string;
}

/**
 * Takes what the boundary decided into the ledger: entries, events of denials and the cursor in one transaction, so that each
 * is taken once by whichever process comes first. One call at a time in this process; those who come meanwhile share the next.
 */
export function ingest(ctx: Context): Promise<void> {
  return ctx.ingestion.run(() => takeAll(ctx));
}

async function takeAll(ctx: Context): Promise<void> {
  for (let batch = 0; batch < BATCHES; batch++) {
    const after = (await readMeta(ctx.ledger.db, CURSOR)) ?? null;
    const page = await ctx.boundary.call((boundary) => boundary.verdicts(after, BATCH));
    if (page.cursor === after) return;
    const violations = await violationsAmong(ctx, page.entries);
    await ctx.ledger.transaction((tx) => take(ctx, tx, { ...page, after }, violations));
    if (page.entries.length === 0) return;
  }
}

/** Nothing where another process has taken it. */
async function take(ctx: Context, tx: Db, page: Page, violations: readonly Violation[]): Promise<void> {
  if (((await readMeta(tx, CURSOR)) ?? null) !== page.after) return;
  await writeMeta(tx, CURSOR, page.cursor);
  for (const [sandboxId, entries] of Map.groupBy(page.entries, (entry) => entry.sandbox_id)) {
    const network = await findNetwork(tx, sandboxId);
    if (network === undefined) {
      ctx.log.warn({ sandbox: sandboxId, entries: entries.length }, "the boundary told of a sandbox that the ledger does not know");
      continue;
    }
    await appendVerdicts(tx, entries);
    await trimVerdicts(tx, sandboxId, KEEP);
    await tellDenials(ctx, tx, network, entries);
  }
  for (const violation of violations) await stopFor(ctx, tx, violation);
}

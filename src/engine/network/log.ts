import { promises as timers } from "node:timers";
import { isTerminal, type NetworkLogPage, type NetworkVerdict, type Principal, SandboxerError } from "../../contract/index.ts";
import { findNetwork, findSandbox, readVerdicts } from "../../ledger/index.ts";
import { accessibleSandbox } from "../access.ts";
import type { Context } from "../context.ts";
import { ingest } from "./ingest.ts";

/** Between looks for entries while somebody follows. */
const LOOK_MS = 250;
const PAGE = 200;

export interface LogQuery {
  /** Only what no rule allowed. */
  readonly denied?: boolean;
  /** Only entries after the one with this `seq`. */
  readonly after?: number;
}

/** Takes in what the boundary has to tell, where it may have something; a boundary that does not answer tells it later. */
async function takeIn(ctx: Context, sandboxId: string): Promise<void> {
  const network = await findNetwork(ctx.ledger.db, sandboxId);
  if (network === undefined || network.released_at !== null) return;
  try {
    await ingest(ctx);
  } catch (thrown) {
    const { code } = SandboxerError.from(thrown);
    if (code !== "backend_unavailable" && code !== "storage_unavailable") throw thrown;
    ctx.log.warn({ sandbox: sandboxId, error: String(thrown) }, "the network log is as far as it was before");
  }
}

const range = (sandboxId: string, { denied = false, after = 0 }: LogQuery) => ({ sandboxId, after, refused: denied });

/** A sandbox's entries, oldest first. */
export async function logPage(ctx: Context, who: Principal, id: string, query: LogQuery & { limit: number }): Promise<NetworkLogPage> {
  await accessibleSandbox(ctx, who, id);
  await takeIn(ctx, id);
  const rows = await readVerdicts(ctx.ledger.db, { ...range(id, query), limit: query.limit + 1 });
  const data = rows.slice(0, query.limit);
  return { object: "list", data, next_cursor: rows.length > query.limit ? String(data.at(-1)?.seq) : null };
}

async function hasEnded(ctx: Context, id: string): Promise<boolean> {
  const row = await findSandbox(ctx.ledger.db, id);
  const network = await findNetwork(ctx.ledger.db, id);
  return row === undefined || (isTerminal(row.state) && (network === undefined || network.released_at !== null));
}

/** Entries as they come, until the sandbox has ended and all was told, or the signal aborts. */
export async function* followLog(
  ctx: Context,
  who: Principal,
  id: string,
  query: LogQuery,
  signal: AbortSignal,
): AsyncIterable<NetworkVerdict> {
  await accessibleSandbox(ctx, who, id);
  let after = query.after ?? 0;
  while (!signal.aborted) {
    const ended = await hasEnded(ctx, id);
    await takeIn(ctx, id);
    const page = await readVerdicts(ctx.ledger.db, { ...range(id, { ...query, after }), limit: PAGE });
    for (const entry of page) {
      yield entry;
      after = entry.seq;
    }
    if (page.length > 0) continue;
    if (ended) return;
    await timers.setTimeout(LOOK_MS, undefined, { signal }).catch(() => undefined);
  }
}

import { findSandbox, type HeldNetwork, heldNetworks } from "../../ledger/index.ts";
import { type Context, hostOf } from "../context.ts";
import type { Report } from "../report.ts";
import { endSandbox } from "../teardown.ts";
import { ingest } from "./ingest.ts";
import { superviseEgress } from "./supervise.ts";

/** Ends one that its policy has stopped, where nobody is at it. */
async function endStopped(
  ctx: Context,
  { sandbox_id: id, state, owner, termination_reason: reason }: HeldNetwork,
  report: Report,
): Promise<void> {
  if (state !== "stopping" || owner !== null || reason !== "policy" || ctx.live.isEnding(id)) return;
  const row = await findSandbox(ctx.ledger.db, id);
  if (row === undefined) return;
  const ended = await endSandbox(ctx, row, { reason, detail: row.termination_detail });
  report.ended(id, ended.termination_reason);
}

/**
 * What a process that stays does every second while some sandbox has egress: takes verdicts in, ends what they end, and looks
 * whether the boundary still serves each, so that one that died is started and attached again within a moment. One index look-up
 * where none has.
 */
export async function watchEgress(ctx: Context, report: Report): Promise<void> {
  await report.try({}, async () => {
    if ((await heldNetworks(ctx.ledger.db, hostOf(ctx))).length === 0) return;
    await report.try({}, () => superviseEgress(ctx, report));
    await report.try({}, () => ingest(ctx));
    for (const held of await heldNetworks(ctx.ledger.db, hostOf(ctx)))
      await report.try({ sandboxId: held.sandbox_id }, () => endStopped(ctx, held, report));
  });
}

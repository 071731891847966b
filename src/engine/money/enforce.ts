import { formatUsd } from "../../contract/format.ts";
import { findSandbox, heldStays, periodsToEnforce } from "../../ledger/index.ts";
import { type Context, hostOf } from "../context.ts";
import { parallel } from "../parallel.ts";
import type { Report } from "../report.ts";
import { endSandbox } from "../teardown.ts";
import { costOfStay } from "./settle.ts";

const AT_ONCE = 8;

/**
 * Ends what runs on a budget that is spent, where the budget says so: what was settled and what the running ones have cost so far, added
 * up. Its cost follows the sandboxes that live on such budgets.
 */
export async function enforceBudgets(ctx: Context, report: Report): Promise<void> {
  for (const { tenant, budget, period, spent, limit_micro_usd: limit } of await periodsToEnforce(ctx.ledger.db)) {
    const stays = await heldStays(ctx.ledger.db, { tenant, budget, period });
    const now = ctx.clock.now();
    const running = stays.reduce((sum, stay) => sum + (costOfStay(stay, now)?.microUsd ?? 0), 0);
    if (spent + running < limit) continue;
    const detail = `budget "${budget}" (${period}) of ${formatUsd(limit)}: ${formatUsd(spent)} spent, ${formatUsd(running)} running`;
    await parallel(stays, AT_ONCE, ({ sandbox_id, backend }) =>
      report.try({ backend, sandboxId: sandbox_id }, async () => {
        const row = await findSandbox(ctx.ledger.db, sandbox_id);
        if (row === undefined || row.ended_at !== null) return;
        // Its own host ends it, by the same sum.
        if (row.host !== null && row.host !== hostOf(ctx)) return;
        const ended = await endSandbox(ctx, row, { reason: "budget", detail });
        report.ended(ended.id, ended.termination_reason ?? ended.error_code);
      }),
    );
  }
}

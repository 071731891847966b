import { reaches } from "../../guard/index.ts";
import { appendEvent, type BudgetRow, type Db, markPeriod, readPeriod } from "../../ledger/index.ts";

/** Tells once a period that a budget is warned of, and that it is spent. */
export async function tellBudget(tx: Db, budget: BudgetRow, period: string, at: number): Promise<void> {
  const { reserved, spent, warned_at, exhausted_at } = await readPeriod(tx, budget, period);
  const { tenant, name, limit_micro_usd: limit, warn_percent: percent } = budget;
  const where = { tenant, budget: name, period };
  const tell = async (type: "budget.warned" | "budget.exhausted") =>
    appendEvent(tx, {
      type,
      at,
      tenant,
      sandboxId: null,
      data: { budget: name, scope: budget.scope, subject: budget.subject, period, limit_micro_usd: limit, reserved_micro_usd: reserved, spent_micro_usd: spent },
    }); // prettier-ignore
  if (warned_at === null && reaches(reserved + spent, limit, percent) && (await markPeriod(tx, where, "warned_at", at)))
    await tell("budget.warned");
  if (exhausted_at === null && reaches(spent, limit, 100) && (await markPeriod(tx, where, "exhausted_at", at)))
    await tell("budget.exhausted");
}

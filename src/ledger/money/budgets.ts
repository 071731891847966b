import { sql } from "kysely";
import type { Db } from "../ledger.ts";
import type { BudgetHoldRow, BudgetPeriodRow, BudgetRow } from "../schema-money.ts";

export async function listBudgets(db: Db, tenant?: string): Promise<BudgetRow[]> {
  const all = db.selectFrom("budgets").selectAll();
  return (tenant === undefined ? all : all.where("tenant", "=", tenant)).orderBy("tenant").orderBy("name").execute();
}

export async function findBudget(db: Db, tenant: string, name: string): Promise<BudgetRow | undefined> {
  return db.selectFrom("budgets").selectAll().where("tenant", "=", tenant).where("name", "=", name).executeTakeFirst();
}

export async function writeBudget(tx: Db, row: BudgetRow): Promise<void> {
  const { tenant: _tenant, name: _name, created_at: _created, ...terms } = row;
  await tx
    .insertInto("budgets")
    .values(row)
    .onConflict((conflict) => conflict.columns(["tenant", "name"]).doUpdateSet(terms))
    .execute();
}

/** Forgets it with all that it counted. What was spent stays in the books and in the usage. */
export async function deleteBudget(tx: Db, tenant: string, name: string): Promise<void> {
  for (const table of ["budget_holds", "budget_periods"] as const)
    await tx.deleteFrom(table).where("tenant", "=", tenant).where("budget", "=", name).execute();
  await tx.deleteFrom("budgets").where("tenant", "=", tenant).where("name", "=", name).execute();
}

/** What a budget has counted in a period; nothing yet: 0. */
export async function readPeriod(db: Db, budget: Pick<BudgetRow, "tenant" | "name">, period: string): Promise<BudgetPeriodRow> {
  const row = await db
    .selectFrom("budget_periods")
    .selectAll()
    .where("tenant", "=", budget.tenant)
    .where("budget", "=", budget.name)
    .where("period", "=", period)
    .executeTakeFirst();
  return row ?? { tenant: budget.tenant, budget: budget.name, period, reserved: 0, spent: 0, warned_at: null, exhausted_at: null };
}

/**
 * Takes an amount of a budget for a stay; `within`: only where reserved and spent then stay at or below it. False where they would not.
 * One conditional statement, so that of two creates for the last room one gets it.
 */
export async function holdInBudget(tx: Db, hold: Omit<BudgetHoldRow, "cost">, within: number | null): Promise<boolean> {
  const { tenant, budget, period, amount } = hold;
  await tx
    .insertInto("budget_periods")
    .values({ tenant, budget, period, reserved: 0, spent: 0, warned_at: null, exhausted_at: null })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
  let take = tx
    .updateTable("budget_periods")
    .set((eb) => ({ reserved: eb("reserved", "+", amount) }))
    .where("tenant", "=", tenant)
    .where("budget", "=", budget)
    .where("period", "=", period);
  if (within !== null) take = take.where(sql<boolean>`reserved + spent + ${amount} <= ${within}`);
  if (Number((await take.executeTakeFirst()).numUpdatedRows) === 0) return false;
  await tx
    .insertInto("budget_holds")
    .values({ ...hold, cost: null })
    .execute();
  return true;
}

/** Turns what was held for a stay into what it cost, in every budget that held for it. Answers with those. */
export async function settleHolds(tx: Db, stay: { sandbox_id: string; generation: number }, cost: number): Promise<BudgetHoldRow[]> {
  const holds = await tx
    .selectFrom("budget_holds")
    .selectAll()
    .where("sandbox_id", "=", stay.sandbox_id)
    .where("generation", "=", stay.generation)
    .where("cost", "is", null)
    .execute();
  for (const hold of holds) {
    await tx
      .updateTable("budget_holds")
      .set({ cost })
      .where("sandbox_id", "=", hold.sandbox_id)
      .where("generation", "=", hold.generation)
      .where("budget", "=", hold.budget)
      .execute();
    await tx
      .updateTable("budget_periods")
      .set((eb) => ({ reserved: eb("reserved", "-", hold.amount), spent: eb("spent", "+", cost) }))
      .where("tenant", "=", hold.tenant)
      .where("budget", "=", hold.budget)
      .where("period", "=", hold.period)
      .execute();
  }
  return holds;
}

/** Writes down that a budget's warning or end was told; false where it was before. */
export async function markPeriod(
  tx: Db,
  { tenant, budget, period }: Pick<BudgetPeriodRow, "tenant" | "budget" | "period">,
  what: "warned_at" | "exhausted_at",
  at: number,
): Promise<boolean> {
  const result = await tx
    .updateTable("budget_periods")
    .set({ [what]: at })
    .where("tenant", "=", tenant)
    .where("budget", "=", budget)
    .where("period", "=", period)
    .where(what, "is", null)
    .executeTakeFirst();
  return Number(result.numUpdatedRows) === 1;
}

/** A budget whose terms were changed may warn and end anew. */
export async function clearMarks(tx: Db, tenant: string, budget: string): Promise<void> {
  await tx
    .updateTable("budget_periods")
    .set({ warned_at: null, exhausted_at: null })
    .where("tenant", "=", tenant)
    .where("budget", "=", budget)
    .execute();
}

/** Periods of the budgets that end sandboxes, in which something still runs. */
export async function periodsToEnforce(db: Db): Promise<(BudgetPeriodRow & Pick<BudgetRow, "limit_micro_usd">)[]> {
  return db
    .selectFrom("budgets")
    .innerJoin("budget_periods", (join) =>
      join.onRef("budget_periods.tenant", "=", "budgets.tenant").onRef("budget_periods.budget", "=", "budgets.name"),
    )
    .selectAll("budget_periods")
    .select("budgets.limit_micro_usd")
    .where("budgets.on_exhausted", "is not", null)
    .where((eb) =>
      eb.exists(
        eb
          .selectFrom("budget_holds")
          .select("budget_holds.sandbox_id")
          .whereRef("budget_holds.tenant", "=", "budgets.tenant")
          .whereRef("budget_holds.budget", "=", "budgets.name")
          .whereRef("budget_holds.period", "=", "budget_periods.period")
          .where("budget_holds.cost", "is", null),
      ),
    )
    .execute();
}

import type { Db } from "../ledger.ts";
import type { UsageDayTable } from "../schema-money.ts";

export const USAGE_DIMENSIONS = ["day", "tenant", "profile", "backend", "key_id"] as const;
export type UsageDimension = (typeof USAGE_DIMENSIONS)[number];

const SUMS = ["stays", "creates", "vcpu_seconds", "mem_mib_seconds", "disk_mib_seconds", "egress_bytes", "cost", "unpriced", "upper_bounds", "unconfirmed"] as const; // prettier-ignore
export type UsageSums = Pick<UsageDayTable, (typeof SUMS)[number]>;

/** Adds a settled stay to its day, in the transaction that settles it. */
export async function addToDay(tx: Db, row: UsageDayTable): Promise<void> {
  await tx
    .insertInto("usage_days")
    .values(row)
    .onConflict((conflict) =>
      conflict
        .columns([...USAGE_DIMENSIONS])
        .doUpdateSet((eb) => Object.fromEntries(SUMS.map((sum) => [sum, eb(`usage_days.${sum}`, "+", row[sum])]))),
    )
    .execute();
}

export type UsageGroup = UsageSums & Partial<Record<UsageDimension, string>>;

/** Sums by the dimensions that are asked for. Days are inclusive, `YYYY-MM-DD`, UTC. Costs what the days do, not what the sandboxes were. */
export async function sumUsage(
  db: Db,
  query: { from: string; to: string; by: readonly UsageDimension[]; tenant?: string },
): Promise<UsageGroup[]> {
  let select = db
    .selectFrom("usage_days")
    .select((eb) => SUMS.map((sum) => eb.fn.sum<number | string>(sum).as(sum)))
    .where("day", ">=", query.from)
    .where("day", "<=", query.to);
  if (query.tenant !== undefined) select = select.where("tenant", "=", query.tenant);
  if (query.by.length === 0) return (await select.execute()).filter(({ stays }) => stays !== null).map(asNumbers);
  const by = [...query.by];
  let grouped = select.select(by).groupBy(by);
  for (const dimension of by) grouped = grouped.orderBy(dimension);
  return (await grouped.execute()).map(asNumbers);
}

/** PostgreSQL gives sums of bigints as text. */
function asNumbers(row: Record<(typeof SUMS)[number], number | string> & Partial<Record<UsageDimension, string>>): UsageGroup {
  return { ...row, ...(Object.fromEntries(SUMS.map((sum) => [sum, Number(row[sum])])) as UsageSums) };
}

/** What runs now. */
export async function sumOpen(db: Db, tenant?: string): Promise<{ stays: number; reserved: number }> {
  let select = db
    .selectFrom("stays")
    .select((eb) => [eb.fn.countAll<number | string>().as("stays"), eb.fn.sum<number | string | null>("reserved").as("reserved")])
    .where("settled_at", "is", null);
  if (tenant !== undefined) select = select.where("tenant", "=", tenant);
  const row = await select.executeTakeFirstOrThrow();
  return { stays: Number(row.stays), reserved: Number(row.reserved ?? 0) };
}

import { SandboxerError } from "../../contract/index.ts";
import type { Db } from "../ledger.ts";
import type { MoneyEntryRow } from "../schema-money.ts";

/** An amount added to a book account: the amounts of one entry add up to 0. */
export interface Posting {
  readonly account: string;
  readonly amount: number;
}

export type NewEntry = Pick<MoneyEntryRow, "id" | "at" | "kind" | "account"> &
  Partial<Pick<MoneyEntryRow, "tenant" | "sandbox_id" | "generation" | "note">>;

/**
 * Appends an entry with its postings and moves the balances, all in the caller's transaction. Postings of 0 are left out; an entry of
 * which nothing is left is not written. False where that entry stands already: it is then left as it is.
 *
 * @throws SandboxerError `internal` for postings that do not add up to 0, or beyond what is exact.
 */
export async function post(tx: Db, entry: NewEntry, postings: readonly Posting[]): Promise<boolean> {
  const lines = postings.filter(({ amount }) => amount !== 0);
  const sum = lines.reduce((total, { amount }) => total + amount, 0);
  if (sum !== 0 || lines.some(({ amount }) => !Number.isSafeInteger(amount)))
    throw new SandboxerError("internal", `entry ${entry.id} does not balance: ${sum}`, { phase: "money" });
  if (lines.length === 0) return false;
  const { tenant = null, sandbox_id = null, generation = null, note = null } = entry;
  const written = await tx
    .insertInto("money_entries")
    .values({ ...entry, tenant, sandbox_id, generation, note })
    .onConflict((conflict) => conflict.column("id").doNothing())
    .executeTakeFirst();
  if (Number(written.numInsertedOrUpdatedRows ?? 0n) === 0) return false;
  await tx
    .insertInto("money_postings")
    .values(lines.map((line, index) => ({ entry_id: entry.id, line: index + 1, ...line })))
    .execute();
  for (const { account, amount } of lines) {
    await tx
      .insertInto("money_balances")
      .values({ account, balance: amount })
      .onConflict((conflict) => conflict.column("account").doUpdateSet((eb) => ({ balance: eb("money_balances.balance", "+", amount) })))
      .execute();
  }
  return true;
}

/** The newest entries of an account, with their postings. */
export async function readEntries(
  db: Db,
  account: string,
  limit: number,
): Promise<(MoneyEntryRow & { postings: { account: string; amount: number }[] })[]> {
  const entries = await db
    .selectFrom("money_entries")
    .selectAll()
    .where("account", "=", account)
    .orderBy("at", "desc")
    .orderBy("id", "desc")
    .limit(limit)
    .execute();
  if (entries.length === 0) return [];
  const ids = entries.map(({ id }) => id);
  const postings = await db.selectFrom("money_postings").selectAll().where("entry_id", "in", ids).orderBy("line").execute();
  return entries.map((entry) => ({
    ...entry,
    postings: postings
      .filter((posting) => posting.entry_id === entry.id)
      .map((posting) => ({ account: posting.account, amount: posting.amount })),
  }));
}

export async function findEntry(db: Db, id: string): Promise<(MoneyEntryRow & { amount: number }) | undefined> {
  const entry = await db.selectFrom("money_entries").selectAll().where("id", "=", id).executeTakeFirst();
  if (entry === undefined) return undefined;
  const funds = await db
    .selectFrom("money_postings")
    .select("amount")
    .where("entry_id", "=", id)
    .where("account", "=", `funds/${entry.account}`)
    .executeTakeFirst();
  return { ...entry, amount: funds?.amount ?? 0 };
}

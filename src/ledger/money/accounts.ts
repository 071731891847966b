import { sql } from "kysely";
import type { Db } from "../ledger.ts";
import type { AccountRow, PaymentRouteRow } from "../schema-money.ts";

export async function listAccounts(db: Db): Promise<AccountRow[]> {
  return db.selectFrom("accounts").selectAll().where("removed_at", "is", null).orderBy("name").execute();
}

export async function findAccount(db: Db, name: string): Promise<AccountRow | undefined> {
  return db.selectFrom("accounts").selectAll().where("name", "=", name).where("removed_at", "is", null).executeTakeFirst();
}

/** Makes it, or gives the one of that name these terms. What was funded, reserved and spent stays. */
export async function writeAccount(
  tx: Db,
  account: Pick<AccountRow, "name" | "kind" | "tenant" | "backends" | "limit_micro_usd">,
  at: number,
): Promise<void> {
  const { name, ...terms } = account;
  await tx
    .insertInto("accounts")
    .values({ name, ...terms, funded: 0, reserved: 0, spent: 0, created_at: at, removed_at: null })
    .onConflict((conflict) => conflict.column("name").doUpdateSet({ ...terms, removed_at: null }))
    .execute();
}

export async function removeAccount(tx: Db, name: string, at: number): Promise<void> {
  await tx.updateTable("accounts").set({ removed_at: at }).where("name", "=", name).execute();
}

/** Takes the amount where there is room for it; false where there is not. One statement, so that two cannot both take the last. */
export async function holdInAccount(tx: Db, name: string, amount: number): Promise<boolean> {
  const result = await tx
    .updateTable("accounts")
    .set((eb) => ({ reserved: eb("reserved", "+", amount) }))
    .where("name", "=", name)
    .where("removed_at", "is", null)
    .where(sql<boolean>`(kind <> 'credits' or funded - reserved - spent >= ${amount})`)
    .where(sql<boolean>`(limit_micro_usd is null or limit_micro_usd - reserved - spent >= ${amount})`)
    .executeTakeFirst();
  return Number(result.numUpdatedRows) === 1;
}

export async function settleInAccount(tx: Db, name: string, { reserved, cost }: { reserved: number; cost: number }): Promise<void> {
  await tx
    .updateTable("accounts")
    .set((eb) => ({ reserved: eb("reserved", "-", reserved), spent: eb("spent", "+", cost) }))
    .where("name", "=", name)
    .execute();
}

export async function fundAccount(tx: Db, name: string, amount: number): Promise<void> {
  await tx
    .updateTable("accounts")
    .set((eb) => ({ funded: eb("funded", "+", amount) }))
    .where("name", "=", name)
    .execute();
}

export async function listPaymentRoutes(db: Db): Promise<PaymentRouteRow[]> {
  return db.selectFrom("payment_routes").selectAll().orderBy("tenant").orderBy("backend").execute();
}

/** The routes that speak of that tenant and backend, `*` included. */
export async function paymentRoutesFor(db: Db, tenant: string, backend: string): Promise<PaymentRouteRow[]> {
  return db.selectFrom("payment_routes").selectAll().where("tenant", "in", [tenant, "*"]).where("backend", "in", [backend, "*"]).execute();
}

/** No accounts: the route is removed. */
export async function writePaymentRoute(tx: Db, route: PaymentRouteRow & { none: boolean }): Promise<void> {
  const { none, ...row } = route;
  if (none) await tx.deleteFrom("payment_routes").where("tenant", "=", row.tenant).where("backend", "=", row.backend).execute();
  else
    await tx
      .insertInto("payment_routes")
      .values(row)
      .onConflict((conflict) => conflict.columns(["tenant", "backend"]).doUpdateSet({ accounts: row.accounts, updated_at: row.updated_at }))
      .execute();
}

/** Whether the tenant lets an account pay that is not the first of its route. */
export async function allowsFallback(db: Db, tenant: string): Promise<boolean> {
  const row = await db.selectFrom("payment_consents").select("fallback").where("tenant", "=", tenant).executeTakeFirst();
  return row?.fallback === 1;
}

export async function writeConsent(tx: Db, tenant: string, fallback: boolean, at: number): Promise<void> {
  const values = { fallback: fallback ? 1 : 0, updated_at: at };
  await tx
    .insertInto("payment_consents")
    .values({ tenant, ...values })
    .onConflict((conflict) => conflict.column("tenant").doUpdateSet(values))
    .execute();
}

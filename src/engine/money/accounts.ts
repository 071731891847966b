import {
  type Account, AccountEntryRequest, AccountRequest, type JournalEntry, parse, PaymentConsent, PaymentRoute, type Principal, SandboxerError,
} from "../../contract/index.ts"; // prettier-ignore
import {
  type AccountRow, allowsFallback, appendEvent, type Db, findAccount, findEntry, fundAccount, listAccounts, listPaymentRoutes, post, readEntries, removeAccount, writeAccount, writeConsent, writePaymentRoute,
} from "../../ledger/index.ts"; // prettier-ignore
import { requireAdmin } from "../access.ts";
import { audit } from "../audit.ts";
import type { Context } from "../context.ts";
import type { MoneyEngine } from "./verbs.ts";

function toAccount(row: AccountRow): Account {
  const bound = Math.min(row.kind === "credits" ? row.funded : Infinity, row.limit_micro_usd ?? Infinity);
  return {
    object: "account",
    name: row.name,
    kind: row.kind,
    tenant: row.tenant,
    backends: row.backends === null ? null : (JSON.parse(row.backends) as string[]),
    limit_micro_usd: row.limit_micro_usd,
    funded_micro_usd: row.funded,
    reserved_micro_usd: row.reserved,
    spent_micro_usd: row.spent,
    left_micro_usd: bound === Infinity ? null : bound - row.reserved - row.spent,
  };
}

async function existing(db: Db, name: string): Promise<AccountRow> {
  const row = await findAccount(db, name);
  if (row === undefined) throw new SandboxerError("account_not_found", `there is no account "${name}"`);
  return row;
}

/** An admin sees all, a tenant those that pay for it alone: what others have is no business of its. */
const visible = (who: Principal, { tenant }: { tenant: string | null }): boolean => who.scopes.includes("admin") || tenant === who.tenant;

async function set(ctx: Context, who: Principal, name: string, input: AccountRequest): Promise<Account> {
  requireAdmin(who, "setting an account");
  const { kind, tenant = null, backends, limit_micro_usd = null } = parse(AccountRequest, input, { what: "account" });
  const at = ctx.clock.now();
  return ctx.ledger.transaction(
    async (tx) => {
      const before = await findAccount(tx, name);
      if (before !== undefined && before.kind !== kind && (before.spent !== 0 || before.reserved !== 0 || before.funded !== 0))
        throw new SandboxerError("conflict", `account "${name}" is ${before.kind} and has been used: give this one another name`);
      await writeAccount(
        tx,
        { name, kind, tenant, backends: backends === undefined ? null : JSON.stringify(backends), limit_micro_usd },
        at,
      );
      await appendEvent(tx, {
        type: "account.set",
        at,
        tenant: tenant ?? who.tenant,
        sandboxId: null,
        data: { account: name, kind, backends: backends ?? null, limit_micro_usd, key_id: who.key_id },
      });
      await audit(tx, who, { action: "account.set", at, target: name, detail: { kind, backends: backends ?? null, limit_micro_usd } });
      return toAccount(await existing(tx, name));
    },
    { durable: true },
  );
}

async function enter(ctx: Context, who: Principal, name: string, input: AccountEntryRequest): Promise<Account> {
  requireAdmin(who, "an entry in an account");
  const { id: ownId, kind, amount_micro_usd: amount, note = null } = parse(AccountEntryRequest, input, { what: "entry" });
  const at = ctx.clock.now();
  const id = `${kind}:${name}:${ownId}`;
  return ctx.ledger.transaction(
    async (tx) => {
      const account = await existing(tx, name);
      const contra = kind === "credit" ? `outside/${name}` : `adjusted/${name}`;
      const written = await post(tx, { id, at, kind, account: name, tenant: account.tenant, note }, [
        { account: contra, amount: -amount },
        { account: `funds/${name}`, amount },
      ]);
      if (!written) {
        const seen = await findEntry(tx, id);
        if (seen?.amount !== amount || seen.note !== note)
          throw new SandboxerError("conflict", `account "${name}" has an entry "${ownId}" with another amount or note`);
        return toAccount(account);
      }
      await fundAccount(tx, name, amount);
      await appendEvent(tx, {
        type: `account.${kind}`,
        at,
        tenant: account.tenant ?? who.tenant,
        sandboxId: null,
        data: { account: name, entry: id, amount_micro_usd: amount, note, key_id: who.key_id },
      });
      await audit(tx, who, { action: `account.${kind}`, at, target: name, detail: { entry: id, amount_micro_usd: amount } });
      return toAccount(await existing(tx, name));
    },
    { durable: true },
  );
}

async function entries(ctx: Context, who: Principal, name: string, limit: number): Promise<JournalEntry[]> {
  const account = await existing(ctx.ledger.db, name);
  if (!visible(who, account)) throw new SandboxerError("account_not_found", `there is no account "${name}"`);
  return (await readEntries(ctx.ledger.db, name, limit)).map(({ at, postings, ...entry }) => ({
    object: "entry",
    ...entry,
    at: new Date(at).toISOString(),
    postings: postings.map((posting) => ({ account: posting.account, amount_micro_usd: posting.amount })),
  }));
}

async function setRoute(ctx: Context, who: Principal, input: PaymentRoute): Promise<PaymentRoute> {
  requireAdmin(who, "setting who pays");
  const route = parse(PaymentRoute, input, { what: "payment route" });
  const at = ctx.clock.now();
  await ctx.ledger.transaction(
    async (tx) => {
      for (const name of route.accounts) await existing(tx, name);
      const row = { tenant: route.tenant, backend: route.backend, accounts: JSON.stringify(route.accounts), updated_at: at };
      await writePaymentRoute(tx, { ...row, none: route.accounts.length === 0 });
      await audit(tx, who, {
        action: "payment_route.set",
        at,
        target: `${route.tenant}/${route.backend}`,
        detail: { accounts: route.accounts },
      });
      await appendEvent(tx, { type: "payment_route.set", at, tenant: who.tenant, sandboxId: null, data: { ...route, key_id: who.key_id } });
    },
    { durable: true },
  );
  return route;
}

export function accounts(ctx: Context): MoneyEngine["accounts"] {
  const { db } = ctx.ledger;
  return {
    set: (who, name, request) => set(ctx, who, name, request),
    list: async (who) => (await listAccounts(db)).filter((row) => visible(who, row)).map(toAccount),
    async get(who, name) {
      const row = await existing(db, name);
      if (!visible(who, row)) throw new SandboxerError("account_not_found", `there is no account "${name}"`);
      return toAccount(row);
    },
    async remove(who, name) {
      requireAdmin(who, "removing an account");
      const at = ctx.clock.now();
      return ctx.ledger.transaction(async (tx) => {
        const row = await existing(tx, name);
        if (row.reserved > 0) throw new SandboxerError("conflict", `account "${name}" pays for sandboxes that have not ended`);
        if (name === "default") throw new SandboxerError("conflict", 'account "default" pays where no route says who does');
        await removeAccount(tx, name, at);
        await audit(tx, who, { action: "account.removed", at, target: name, detail: { tenant: row.tenant } });
        await appendEvent(tx, {
          type: "account.removed",
          at,
          tenant: row.tenant ?? who.tenant,
          sandboxId: null,
          data: { account: name, key_id: who.key_id },
        });
        return toAccount(row);
      });
    },
    enter: (who, name, request) => enter(ctx, who, name, request),
    entries: (who, name, { limit }) => entries(ctx, who, name, limit),
    async routes(who) {
      const rows = await listPaymentRoutes(db);
      return rows
        .filter(({ tenant }) => who.scopes.includes("admin") || tenant === who.tenant)
        .map(({ tenant, backend, accounts: names }) => ({ tenant, backend, accounts: JSON.parse(names) as string[] }));
    },
    setRoute: (who, route) => setRoute(ctx, who, route),
    consent: async (who) => ({ fallback: await allowsFallback(db, who.tenant) }),
    async setConsent(who, input) {
      const { fallback } = parse(PaymentConsent, input, { what: "consent" });
      const at = ctx.clock.now();
      await ctx.ledger.transaction(async (tx) => {
        await writeConsent(tx, who.tenant, fallback, at);
        await audit(tx, who, { action: "payment_consent.set", at, target: who.tenant, detail: { fallback } });
        await appendEvent(tx, {
          type: "payment_consent.set",
          at,
          tenant: who.tenant,
          sandboxId: null,
          data: { fallback, key_id: who.key_id },
        });
      });
      return { fallback };
    },
  };
}

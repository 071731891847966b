import { formatUsd } from "../../contract/format.ts";
import { type EgressPolicy, SandboxerError } from "../../contract/index.ts";
import { allocationOf, counts, largestCost, mayNotPay, payersFor, periodOf, ratePerHour } from "../../guard/index.ts";
import {
  allowsFallback, type AccountRow, type BudgetRow, type Db, findAccount, findNetwork, holdInAccount, holdInBudget, insertStay, listBudgets, paymentRoutesFor, post, readPeriod, type SandboxRow,
} from "../../ledger/index.ts"; // prettier-ignore
import type { Context } from "../context.ts";
import { tellBudget } from "./tell-budget.ts";

/** What a create is expected to cost at most, before there is a stay. */
interface Estimate {
  readonly price: string | null;
  readonly rate: number | null;
  readonly largest: number | null;
  readonly because: string | null;
}

function estimate(ctx: Context, row: SandboxRow, at: number, egressBytes: number | null): Estimate {
  const price = ctx.prices.of(row.backend);
  if (price === null) return { price: null, rate: null, largest: null, because: `nobody has said what backend ${row.backend} costs` };
  const allocation = allocationOf(JSON.parse(row.resources) as Parameters<typeof allocationOf>[0]);
  const largest = largestCost(price, allocation, { seconds: Math.max(0, row.max_life_at - at) / 1000, egressBytes });
  const because = largest === null ? "egress has a price and nothing bounds it: set network.limits.bytes" : null;
  return { price: JSON.stringify(price), rate: ratePerHour(price, allocation), largest, because };
}

/** 0 without a network, null where nothing bounds it. An update can widen the policy up to its ceiling. */
async function egressBound(tx: Db, sandboxId: string): Promise<number | null> {
  const network = await findNetwork(tx, sandboxId);
  return network === undefined ? 0 : (JSON.parse(network.ceiling) as EgressPolicy).limits.bytes;
}

/**
 * Takes the most that a stay can cost out of an account and of every budget that counts it, and writes the stay. In the transaction that
 * writes the sandbox's row, or gives it another backend: thrown, it takes all of that back.
 *
 * @throws SandboxerError `account_exhausted`, `budget_exceeded`, with every figure that stands in the way.
 */
export async function reserve(ctx: Context, tx: Db, row: SandboxRow, keyId: string | null, at: number): Promise<void> {
  const { price, rate, largest, because } = estimate(ctx, row, at, await egressBound(tx, row.id));
  const agent = (JSON.parse(row.metadata) as Record<string, string>)["agent"] ?? null;
  const stay = { sandbox_id: row.id, generation: row.generation, tenant: row.tenant, backend: row.backend };
  const spender = { keyId: keyId ?? "", agent, profile: row.profile_name };
  const reserved = largest ?? 0;
  for (const budget of await listBudgets(tx, row.tenant)) {
    if (counts(budget, spender)) await takeFrom(tx, budget, stay, { largest, because, at });
  }
  const account = await choosePayer(tx, row, largest);
  await insertStay(tx, {
    ...stay,
    profile: row.profile_name,
    key_id: spender.keyId,
    agent,
    account,
    price,
    rate,
    largest,
    reserved,
    unknown_because: because,
    opened_at: at,
  });
  const id = `reserve:${row.id}:${row.generation}`;
  await post(tx, { id, at, kind: "reserve", account, tenant: row.tenant, sandbox_id: row.id, generation: row.generation }, [
    { account: `funds/${account}`, amount: -reserved },
    { account: `held/${account}`, amount: reserved },
  ]);
}

const WHO: Readonly<Record<BudgetRow["scope"], (budget: BudgetRow) => string>> = {
  tenant: ({ tenant }) => `tenant ${tenant}`,
  key: ({ subject }) => `key ${subject}`,
  agent: ({ subject }) => `agent ${subject}`,
  profile: ({ subject }) => `profile ${subject}`,
};

async function takeFrom(
  tx: Db,
  budget: BudgetRow,
  stay: { sandbox_id: string; generation: number; tenant: string },
  { largest, because, at }: { largest: number | null; because: string | null; at: number },
): Promise<void> {
  const period = periodOf(budget.period, at);
  const name = `budget "${budget.name}" (${WHO[budget.scope](budget)}, ${period})`;
  if (budget.hard === 1 && largest === null)
    throw new SandboxerError("budget_exceeded", `${name} is hard, and the most that this can cost is not known: ${because}`, {
      phase: "money",
    });
  const hold = { sandbox_id: stay.sandbox_id, generation: stay.generation, tenant: budget.tenant, budget: budget.name, period, amount: largest ?? 0 }; // prettier-ignore
  if (!(await holdInBudget(tx, hold, budget.hard === 1 ? budget.limit_micro_usd : null))) {
    const { reserved, spent } = await readPeriod(tx, budget, period);
    const [most, of, held, used] = [largest ?? 0, budget.limit_micro_usd, reserved, spent].map(formatUsd);
    throw new SandboxerError("budget_exceeded", `${name} of ${of} has ${used} spent and ${held} reserved; this can cost ${most} at most`, {
      phase: "money",
    });
  }
  await tellBudget(tx, budget, period, at);
}

const left = (account: AccountRow): number =>
  Math.min(account.kind === "credits" ? account.funded : Infinity, account.limit_micro_usd ?? Infinity) - account.reserved - account.spent;

/** The first account of the tenant's route that may and can pay. */
async function choosePayer(tx: Db, { tenant, backend }: SandboxRow, largest: number | null): Promise<string> {
  const routes = (await paymentRoutesFor(tx, tenant, backend)).map((route) => ({
    ...route,
    accounts: JSON.parse(route.accounts) as string[],
  }));
  const why: string[] = [];
  for (const [index, name] of payersFor(routes, tenant, backend).entries()) {
    if (index > 0 && !(await allowsFallback(tx, tenant))) {
      why.push(`${name} was not asked: tenant ${tenant} does not allow fallback`);
      break;
    }
    const account = await findAccount(tx, name);
    if (account === undefined) {
      why.push(`${name} is not there`);
      continue;
    }
    const backends = account.backends === null ? null : (JSON.parse(account.backends) as string[]);
    const refusal = mayNotPay(
      { kind: account.kind, tenant: account.tenant, backends, limit: account.limit_micro_usd },
      tenant,
      backend,
      largest,
    );
    if (refusal === undefined && (await holdInAccount(tx, name, largest ?? 0))) return name;
    why.push(`${name} ${refusal ?? `has ${formatUsd(left(account))} left, and this can cost ${formatUsd(largest ?? 0)}`}`);
  }
  throw new SandboxerError("account_exhausted", `no account pays for tenant ${tenant} at backend ${backend}: ${why.join("; ")}`, {
    phase: "money",
    backend,
  });
}

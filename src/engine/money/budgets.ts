import { type Budget, BudgetRequest, parse, type Principal, SandboxerError } from "../../contract/index.ts";
import { counts, periodOf } from "../../guard/index.ts";
import {
  appendEvent, type BudgetRow, clearMarks, type Db, deleteBudget, findBudget, holdInBudget, listBudgets, openStaysOf, readPeriod, writeBudget,
} from "../../ledger/index.ts"; // prettier-ignore
import { requireAdmin } from "../access.ts";
import { audit } from "../audit.ts";
import type { Context } from "../context.ts";
import type { MoneyEngine } from "./verbs.ts";
import { tellBudget } from "./tell-budget.ts";

const time = (at: number): string => new Date(at).toISOString();

async function toBudget(db: Db, row: BudgetRow, now: number): Promise<Budget> {
  const period = periodOf(row.period, now);
  const { reserved, spent } = await readPeriod(db, row, period);
  return {
    object: "budget",
    name: row.name,
    tenant: row.tenant,
    scope: row.scope,
    subject: row.scope === "tenant" ? null : row.subject,
    hard: row.hard === 1,
    period: row.period,
    limit_micro_usd: row.limit_micro_usd,
    warn_percent: row.warn_percent,
    on_exhausted: row.on_exhausted,
    current: { period, reserved_micro_usd: reserved, spent_micro_usd: spent, left_micro_usd: row.limit_micro_usd - reserved - spent },
    created_at: time(row.created_at),
    updated_at: time(row.updated_at),
  };
}

/** A tenant sees its own; an admin names whose. */
function tenantOf(who: Principal, tenant: string | undefined): string {
  if (tenant !== undefined && tenant !== who.tenant) requireAdmin(who, "another tenant's budget");
  return tenant ?? who.tenant;
}

async function existing(db: Db, tenant: string, name: string): Promise<BudgetRow> {
  const row = await findBudget(db, tenant, name);
  if (row === undefined) throw new SandboxerError("budget_not_found", `tenant ${tenant} has no budget "${name}"`);
  return row;
}

async function set(ctx: Context, who: Principal, name: string, input: BudgetRequest): Promise<Budget> {
  requireAdmin(who, "setting a budget");
  const request = parse(BudgetRequest, input, { what: "budget" });
  const { on_exhausted } = request;
  if (on_exhausted === "pause")
    throw new SandboxerError("capability_unsupported", "on_exhausted: pause is not in this version: what runs on a spent budget is ended", {
      phase: "money",
      issues: [{ path: "on_exhausted", message: 'must be "terminate", or left out', nearest: "terminate" }],
    });
  const now = ctx.clock.now();
  return ctx.ledger.transaction(async (tx) => {
    const tenant = request.tenant ?? who.tenant;
    const before = await findBudget(tx, tenant, name);
    const row: BudgetRow = {
      tenant,
      name,
      scope: request.scope ?? "tenant",
      subject: request.subject ?? "",
      hard: request.hard === false ? 0 : 1,
      period: request.period ?? "total",
      limit_micro_usd: request.limit_micro_usd,
      warn_percent: request.warn_percent ?? 80,
      on_exhausted: on_exhausted ?? null,
      created_at: before?.created_at ?? now,
      updated_at: now,
    };
    if (before !== undefined && (before.scope !== row.scope || before.subject !== row.subject || before.period !== row.period))
      throw new SandboxerError("conflict", `budget "${name}" counts something else: remove it, or give this one another name`);
    await writeBudget(tx, row);
    if (before === undefined) await takeAlong(tx, row, now);
    else await clearMarks(tx, tenant, name);
    await appendEvent(tx, { type: "budget.set", at: now, tenant, sandboxId: null, data: { ...row, key_id: who.key_id } });
    await audit(tx, who, { action: "budget.set", at: now, target: row.name, detail: { ...row } });
    await tellBudget(tx, row, periodOf(row.period, now), now);
    return toBudget(tx, row, now);
  });
}

/** A new budget counts what runs already. What was settled before it is not counted. */
async function takeAlong(tx: Db, budget: BudgetRow, now: number): Promise<void> {
  for (const stay of await openStaysOf(tx, budget.tenant)) {
    if (!counts(budget, { keyId: stay.key_id, agent: stay.agent, profile: stay.profile })) continue;
    const { sandbox_id, generation, tenant, reserved: amount } = stay;
    await holdInBudget(tx, { sandbox_id, generation, tenant, budget: budget.name, period: periodOf(budget.period, now), amount }, null);
  }
}

export function budgets(ctx: Context): MoneyEngine["budgets"] {
  return {
    set: (who, name, request) => set(ctx, who, name, request),
    async list(who, { tenant, allTenants = false } = {}) {
      if (allTenants) requireAdmin(who, "all_tenants");
      const rows = await listBudgets(ctx.ledger.db, allTenants ? undefined : tenantOf(who, tenant));
      return Promise.all(rows.map((row) => toBudget(ctx.ledger.db, row, ctx.clock.now())));
    },
    async get(who, name, tenant) {
      return toBudget(ctx.ledger.db, await existing(ctx.ledger.db, tenantOf(who, tenant), name), ctx.clock.now());
    },
    async remove(who, name, tenant) {
      requireAdmin(who, "removing a budget");
      const at = ctx.clock.now();
      return ctx.ledger.transaction(async (tx) => {
        const row = await existing(tx, tenantOf(who, tenant), name);
        const last = await toBudget(tx, row, at);
        await deleteBudget(tx, row.tenant, name);
        await appendEvent(tx, {
          type: "budget.removed",
          at,
          tenant: row.tenant,
          sandboxId: null,
          data: { budget: name, key_id: who.key_id },
        });
        await audit(tx, who, { action: "budget.removed", at, target: name, detail: { tenant: row.tenant } });
        return last;
      });
    },
  };
}

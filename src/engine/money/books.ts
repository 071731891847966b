import { type Discrepancy, type MoneyAudit, type Principal, SandboxerError, type UsageBy, type UsageReport } from "../../contract/index.ts";
import { auditBooks, flaggedStays, type StayRow, sumOpen, sumUsage, type UsageDimension, type UsageGroup } from "../../ledger/index.ts";
import { requireAdmin } from "../access.ts";
import type { Context } from "../context.ts";
import { tenantMeant } from "./tenant-meant.ts";
import type { MoneyEngine } from "./verbs.ts";
import { exportUsage } from "./export/pages.ts";

const DAY_MS = 86_400_000;
/** Days that are summed unless the caller names others. */
const DEFAULT_DAYS = 30;

const dayOf = (at: number): string => new Date(at).toISOString().slice(0, 10);
const COLUMN: Readonly<Record<UsageBy, UsageDimension>> = {
  day: "day",
  tenant: "tenant",
  profile: "profile",
  backend: "backend",
  key: "key_id",
};

function sums({
  stays,
  creates,
  vcpu_seconds,
  mem_mib_seconds,
  disk_mib_seconds,
  egress_bytes,
  cost,
  unpriced,
  upper_bounds,
  unconfirmed,
}: UsageGroup) {
  return {
    stays,
    creates,
    vcpu_seconds,
    mem_mib_seconds,
    disk_mib_seconds,
    egress_bytes,
    cost_micro_usd: cost,
    unpriced,
    upper_bounds,
    unconfirmed,
  };
}

const NONE: UsageGroup = { stays: 0, creates: 0, vcpu_seconds: 0, mem_mib_seconds: 0, disk_mib_seconds: 0, egress_bytes: 0, cost: 0, unpriced: 0, upper_bounds: 0, unconfirmed: 0 }; // prettier-ignore

async function report(ctx: Context, who: Principal, query: Parameters<MoneyEngine["money"]["usage"]>[1]): Promise<UsageReport> {
  const now = ctx.clock.now();
  const { from = dayOf(now - (DEFAULT_DAYS - 1) * DAY_MS), to = dayOf(now), by = ["day"] } = query;
  if (from > to)
    throw new SandboxerError("invalid_request", "from: is after to", { issues: [{ path: "from", message: "must not be after to" }] });
  const tenant = tenantMeant(who, query);
  const within = { from, to, ...(tenant === undefined ? {} : { tenant }) };
  const groups = await sumUsage(ctx.ledger.db, { ...within, by: by.map((dimension) => COLUMN[dimension]) });
  const [total = NONE] = await sumUsage(ctx.ledger.db, { ...within, by: [] });
  const open = await sumOpen(ctx.ledger.db, tenant);
  return {
    from,
    to,
    by: [...by],
    data: groups.map((group) => ({ ...Object.fromEntries(by.map((dimension) => [dimension, group[COLUMN[dimension]]])), ...sums(group) })),
    total: sums(total),
    running: { stays: open.stays, reserved_micro_usd: open.reserved },
  };
}

async function audit(ctx: Context, who: Principal): Promise<MoneyAudit> {
  requireAdmin(who, "an audit");
  const { findings, checks, before, ...counted } = await ctx.ledger.transaction(auditBooks);
  return { balanced: findings.length === 0, checks: [...checks], findings: [...findings], before_the_books: before, ...counted };
}

function toDiscrepancy(row: StayRow): Discrepancy {
  const { percent = 0, ...metered } = JSON.parse(row.metered ?? "{}") as Record<string, number>;
  const { sandbox_id, generation, tenant, backend, cost } = row;
  return { sandbox_id, generation, tenant, backend, cost_micro_usd: cost, metered, percent };
}

/** What money is asked for beside budgets and accounts. */
export function books(ctx: Context): MoneyEngine["money"] {
  return {
    usage: (who, query) => report(ctx, who, query),
    audit: (who) => audit(ctx, who),
    async discrepancies(who, query) {
      const tenant = tenantMeant(who, query);
      const rows = await flaggedStays(ctx.ledger.db, { limit: query.limit, ...(tenant === undefined ? {} : { tenant }) });
      return rows.map(toDiscrepancy);
    },
    export: (who, query) => exportUsage(ctx, who, query),
    async toStripe(who) {
      requireAdmin(who, "an export to Stripe");
      const { sendToStripe } = await import("./export/stripe.ts");
      return sendToStripe(ctx);
    },
  };
}

import { z } from "zod";
import { MoneyAudit, StripeReport, TenantName, USAGE_BY, type UsageBy, UsageReport } from "../../contract/index.ts";
import { json, send } from "../reply.ts";
import { defineRoute, type Route } from "../route.ts";
import { DiscrepancyList, flag, integer } from "../schemas.ts";

const Day = z.string().regex(/^\d{4}-\d{2}-\d{2}$/, "must be a day, as in 2026-11-25");
const By = z
  .string()
  .transform((text) => text.split(",").filter((part) => part !== ""))
  .pipe(z.array(z.enum(USAGE_BY)).max(USAGE_BY.length))
  .optional()
  .meta({ type: "string", description: `Comma-separated: ${USAGE_BY.join(", ")}; day unless given.` });

/** Whose figures. */
export const whose = {
  tenant: TenantName.optional().meta({ description: "Another tenant's; needs the scope admin." }),
  all_tenants: flag("Every tenant's; needs the scope admin."),
};

/** The parts of a query that are there, in the engine's names. */
export function meant(query: { tenant?: string | undefined; all_tenants: boolean }): { tenant?: string; allTenants?: boolean } {
  return { ...(query.tenant === undefined ? {} : { tenant: query.tenant }), ...(query.all_tenants ? { allTenants: true } : {}) };
}

/** What was used and what it cost. */
export const moneyRoutes: readonly Route[] = [
  defineRoute(
    {
      method: "get",
      path: "/v1/usage",
      operation: "usageReport",
      tag: "Money",
      summary: "What was used, and what it cost",
      scope: "read",
      query: z.strictObject({
        from: Day.optional().meta({ description: "First day, UTC; 29 days before today unless given." }),
        to: Day.optional().meta({ description: "Last day; today unless given." }),
        by: By,
        ...whose,
      }),
      exampleQuery: "by=day,profile",
      answers: { 200: { description: "Sums of what has ended on those days.", content: { "application/json": UsageReport } } },
    },
    async (call) => {
      const { from, to, by } = call.query;
      const days = { ...(from === undefined ? {} : { from }), ...(to === undefined ? {} : { to }) };
      const dimensions: { by?: readonly UsageBy[] } = by === undefined ? {} : { by };
      return json(call, 200, await call.engine.money.usage(call.who, { ...days, ...dimensions, ...meant(call.query) }));
    },
  ),
  defineRoute(
    {
      method: "get",
      path: "/v1/usage/export",
      operation: "exportUsage",
      tag: "Money",
      summary: "Settled usage as CloudEvents or FOCUS 1.3 CSV, from a cursor on",
      description: "`x-next-cursor` is where to go on; the same as `after` where nothing was left. Identifiers are the same each time.",
      scope: "read",
      query: z.strictObject({
        format: z.enum(["cloudevents", "focus"]).optional().meta({ description: "cloudevents unless given." }),
        after: integer({ min: 0, max: Number.MAX_SAFE_INTEGER, description: "Only what was settled after this cursor; all unless given." }),
        limit: integer({ min: 1, max: 10_000, description: "At most so many stays; 1000 unless given." }),
        ...whose,
      }),
      exampleQuery: "format=cloudevents&after=0",
      answers: {
        200: {
          description: "A batch of CloudEvents, or CSV with a heading.",
          content: { "application/cloudevents-batch+json": z.array(z.unknown()), "text/csv": z.string() },
          headers: { "x-next-cursor": "Give it as `after` for what follows.", "x-count": "How many stays are in it." },
        },
      },
    },
    async (call) => {
      const { format = "cloudevents", after = 0, limit = 1000 } = call.query;
      const page = await call.engine.money.export(call.who, { format, after, limit, ...meant(call.query) });
      const headers = { "content-type": page.type, "x-next-cursor": String(page.cursor), "x-count": String(page.count) };
      return send(call, 200, page.text, headers);
    },
  ),
  defineRoute(
    {
      method: "post",
      path: "/v1/usage/export/stripe",
      operation: "exportToStripe",
      tag: "Money",
      summary: "Give Stripe a meter event for everything settled since the last time",
      scope: "admin",
      answers: { 200: { description: "What was sent.", content: { "application/json": StripeReport } } },
      errors: ["backend_auth", "backend_rejected", "backend_unavailable", "provider_missing_dependency", "storage_unavailable"],
    },
    async (call) => json(call, 200, await call.engine.money.toStripe(call.who)),
  ),
  defineRoute(
    {
      method: "get",
      path: "/v1/usage/discrepancies",
      operation: "listDiscrepancies",
      tag: "Money",
      summary: "Stays of which a backend's own metering differs from ours by more than 5 %",
      scope: "read",
      query: z.strictObject({ limit: integer({ min: 1, max: 1000, description: "100 unless given." }), ...whose }),
      answers: { 200: { description: "Newest first.", content: { "application/json": DiscrepancyList } } },
    },
    async (call) => {
      const { limit = 100 } = call.query;
      const data = await call.engine.money.discrepancies(call.who, { limit, ...meant(call.query) });
      return json(call, 200, { object: "list", data });
    },
  ),
  defineRoute(
    {
      method: "get",
      path: "/v1/money/audit",
      operation: "auditMoney",
      tag: "Money",
      summary: "Prove that the books balance",
      description: "Reads all of them, and holds up every write meanwhile.",
      scope: "admin",
      answers: { 200: { description: "What was checked, and what does not hold.", content: { "application/json": MoneyAudit } } },
    },
    async (call) => json(call, 200, await call.engine.money.audit(call.who)),
  ),
];

import { z } from "zod";
import { Budget, BudgetRequest, TenantName, parse } from "../../contract/index.ts";
import type { Call } from "../call.ts";
import { json } from "../reply.ts";
import { defineRoute, type Route } from "../route.ts";
import { BudgetList } from "../schemas.ts";
import { meant, whose } from "./money.ts";

const tag = "Money";
const one = "/v1/budgets/{name}";
const query = z.strictObject({ tenant: whose.tenant });
const answer = (description: string) => ({ description, content: { "application/json": Budget } });
const nameOf = (call: Call): string => parse(TenantName, call.params["name"] ?? "", { what: "name" });

/** What may be spent. */
export const budgetRoutes: readonly Route[] = [
  defineRoute(
    {
      method: "put",
      path: one,
      operation: "setBudget",
      tag,
      summary: "Make a budget, or change its terms",
      description: "A new one counts what runs already. What a budget counts cannot be changed: that is `conflict`.",
      scope: "admin",
      body: BudgetRequest,
      exampleBody: { tenant: "acme", limit_micro_usd: 25_000_000, period: "month", on_exhausted: "terminate" },
      answers: { 200: answer("The budget, and how it stands.") },
      errors: ["capability_unsupported", "conflict", "storage_unavailable"],
    },
    async (call) => json(call, 200, await call.engine.budgets.set(call.who, nameOf(call), call.body)),
  ),
  defineRoute(
    {
      method: "get",
      path: "/v1/budgets",
      operation: "listBudgets",
      tag,
      summary: "List budgets and how they stand",
      scope: "read",
      query: z.strictObject(whose),
      answers: { 200: { description: "The tenant's, by name.", content: { "application/json": BudgetList } } },
    },
    async (call) => json(call, 200, { object: "list", data: await call.engine.budgets.list(call.who, meant(call.query)) }),
  ),
  defineRoute(
    {
      method: "get",
      path: one,
      operation: "getBudget",
      tag,
      summary: "Show a budget",
      scope: "read",
      query,
      answers: { 200: answer("The budget.") },
      errors: ["budget_not_found"],
    },
    async (call) => json(call, 200, await call.engine.budgets.get(call.who, nameOf(call), call.query.tenant)),
  ),
  defineRoute(
    {
      method: "delete",
      path: one,
      operation: "removeBudget",
      tag,
      summary: "Remove a budget",
      description: "With all that it counted. What was spent stays in the books.",
      scope: "admin",
      query,
      answers: { 200: answer("How it stood last.") },
      errors: ["budget_not_found", "storage_unavailable"],
    },
    async (call) => json(call, 200, await call.engine.budgets.remove(call.who, nameOf(call), call.query.tenant)),
  ),
];

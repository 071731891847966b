import { z } from "zod";
import { Account, AccountEntryRequest, AccountRequest, PaymentConsent, PaymentRoute, TenantName, parse } from "../../contract/index.ts";
import type { Call } from "../call.ts";
import { json } from "../reply.ts";
import { defineRoute, type Route } from "../route.ts";
import { AccountList, EntryList, integer, PaymentRouteList } from "../schemas.ts";

const tag = "Money";
const one = "/v1/accounts/{name}";
const answer = (description: string) => ({ description, content: { "application/json": Account } });
const nameOf = (call: Call): string => parse(TenantName, call.params["name"] ?? "", { what: "name" });

const accountsThemselves: readonly Route[] = [
  defineRoute(
    {
      method: "put",
      path: one,
      operation: "setAccount",
      tag,
      summary: "Make an account, or change its terms",
      scope: "admin",
      body: AccountRequest,
      exampleBody: { kind: "credits", tenant: "acme" },
      answers: { 200: answer("The account.") },
      errors: ["conflict", "storage_unavailable"],
    },
    async (call) => json(call, 200, await call.engine.accounts.set(call.who, nameOf(call), call.body)),
  ),
  defineRoute(
    {
      method: "get",
      path: "/v1/accounts",
      operation: "listAccounts",
      tag,
      summary: "List accounts",
      description: "An admin sees all, a tenant those that pay for it alone.",
      scope: "read",
      answers: { 200: { description: "By name.", content: { "application/json": AccountList } } },
    },
    async (call) => json(call, 200, { object: "list", data: await call.engine.accounts.list(call.who) }),
  ),
  defineRoute(
    {
      method: "get",
      path: one,
      operation: "getAccount",
      tag,
      summary: "Show an account",
      scope: "read",
      answers: { 200: answer("The account.") },
      errors: ["account_not_found"],
    },
    async (call) => json(call, 200, await call.engine.accounts.get(call.who, nameOf(call))),
  ),
  defineRoute(
    {
      method: "delete",
      path: one,
      operation: "removeAccount",
      tag,
      summary: "Remove an account",
      description: "Its entries stay in the books. While it pays for something it is `conflict`.",
      scope: "admin",
      answers: { 200: answer("How it stood last.") },
      errors: ["account_not_found", "conflict", "storage_unavailable"],
    },
    async (call) => json(call, 200, await call.engine.accounts.remove(call.who, nameOf(call))),
  ),
];

const journal: readonly Route[] = [
  defineRoute(
    {
      method: "post",
      path: `${one}/entries`,
      operation: "enterAccount",
      tag,
      summary: "Add credits to an account, or correct it",
      description: "Nothing is ever changed in the books: a correction is another entry. The same `id` is entered once.",
      scope: "admin",
      body: AccountEntryRequest,
      exampleBody: { id: "invoice-17", kind: "credit", amount_micro_usd: 50_000_000 },
      answers: { 200: answer("The account with it.") },
      errors: ["account_not_found", "conflict", "storage_unavailable"],
    },
    async (call) => json(call, 200, await call.engine.accounts.enter(call.who, nameOf(call), call.body)),
  ),
  defineRoute(
    {
      method: "get",
      path: `${one}/entries`,
      operation: "listEntries",
      tag,
      summary: "Read an account's entries",
      scope: "read",
      query: z.strictObject({ limit: integer({ min: 1, max: 1000, description: "100 unless given." }) }),
      answers: { 200: { description: "Newest first, each with its postings.", content: { "application/json": EntryList } } },
      errors: ["account_not_found"],
    },
    async (call) => {
      const { limit = 100 } = call.query;
      return json(call, 200, { object: "list", data: await call.engine.accounts.entries(call.who, nameOf(call), { limit }) });
    },
  ),
];

const payment: readonly Route[] = [
  defineRoute(
    {
      method: "get",
      path: "/v1/payment-routes",
      operation: "listPaymentRoutes",
      tag,
      summary: "List who pays for whom, where",
      scope: "read",
      answers: {
        200: { description: "All of them; a tenant's own without the scope admin.", content: { "application/json": PaymentRouteList } },
      },
    },
    async (call) => json(call, 200, { object: "list", data: await call.engine.accounts.routes(call.who) }),
  ),
  defineRoute(
    {
      method: "put",
      path: "/v1/payment-routes",
      operation: "setPaymentRoute",
      tag,
      summary: "Say which accounts pay for a tenant at a backend, in order",
      scope: "admin",
      body: PaymentRoute,
      exampleBody: { tenant: "acme", backend: "*", accounts: ["acme-credits", "platform"] },
      answers: { 200: { description: "The route.", content: { "application/json": PaymentRoute } } },
      errors: ["account_not_found", "storage_unavailable"],
    },
    async (call) => json(call, 200, await call.engine.accounts.setRoute(call.who, call.body)),
  ),
  defineRoute(
    {
      method: "get",
      path: "/v1/payment-consent",
      operation: "getPaymentConsent",
      tag,
      summary: "Whether a further account may pay where the first cannot",
      scope: "read",
      answers: {
        200: { description: "The tenant's own word; false until it was given.", content: { "application/json": PaymentConsent } },
      },
    },
    async (call) => json(call, 200, await call.engine.accounts.consent(call.who)),
  ),
  defineRoute(
    {
      method: "put",
      path: "/v1/payment-consent",
      operation: "setPaymentConsent",
      tag,
      summary: "Allow or forbid that a further account pays",
      scope: "write",
      body: PaymentConsent,
      exampleBody: { fallback: true },
      answers: { 200: { description: "As it is now.", content: { "application/json": PaymentConsent } } },
      errors: ["storage_unavailable"],
    },
    async (call) => json(call, 200, await call.engine.accounts.setConsent(call.who, call.body)),
  ),
];

/** Who pays. */
export const accountRoutes: readonly Route[] = [...accountsThemselves, ...journal, ...payment];

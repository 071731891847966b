import { z } from "zod";

/** Amounts are whole micro-dollars: 1,000,000 are one US dollar. Below 2^53, so that every sum is exact. */
const MicroUsd = z.int().meta({ description: "Millionths of a US dollar." });
const Amount = z.int().min(0).max(1_000_000_000_000_000);

/** What a sandbox costs, by the price that held when it began. Counted from the row before the create to the backend's confirmation. */
export const SandboxCost = z
  .object({
    currency: z.literal("USD"),
    so_far_micro_usd: MicroUsd.nullable().meta({ description: "Over all its stays, fallbacks too; null: a price is not known." }),
    largest_micro_usd: MicroUsd.nullable().meta({
      description: "The most that it can cost, at max_life with its CPU busy throughout; null: see unknown_because.",
    }),
    micro_usd_per_hour: MicroUsd.nullable().meta({ description: "Its CPU busy throughout, without creates and egress." }),
    precision: z.enum(["exact", "upper_bound"]).meta({ description: "upper_bound: CPU is billed by its activity, which nobody measured." }),
    settled: z.boolean().meta({ description: "Whether it is the final figure." }),
    account: z.string().meta({ description: "Who pays." }),
    unknown_because: z.string().nullable(),
  })
  .meta({ id: "SandboxCost" });
export type SandboxCost = z.infer<typeof SandboxCost>;

const Name = z.string().regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, "must be lower-case letters, digits and dashes, at most 63");
/** A tenant or backend by its name, or every one. */
const NameOrAll = z.union([z.literal("*"), Name]);

export const BUDGET_SCOPES = ["tenant", "key", "agent", "profile"] as const;
export const BUDGET_PERIODS = ["total", "month", "day"] as const;

/** Body of `PUT /v1/budgets/{name}`. */
export const BudgetRequest = z
  .strictObject({
    tenant: Name.optional().meta({ description: "Whose sandboxes; the caller's tenant unless given." }),
    scope: z.enum(BUDGET_SCOPES).optional().meta({ description: "tenant unless given." }),
    subject: z
      .string()
      .min(1)
      .max(1024)
      .optional()
      .meta({ description: "The key's id, the value of the sandbox's metadata `agent`, or the profile's name; none with scope tenant." }),
    limit_micro_usd: Amount.meta({ description: "In each period." }),
    period: z.enum(BUDGET_PERIODS).optional().meta({ description: "total unless given; months and days are UTC's." }),
    hard: z.boolean().optional().meta({ description: "Whether creates are refused that could go beyond it; true unless given." }),
    warn_percent: z.int().min(1).max(100).optional().meta({ description: "Of the limit, reserved and spent; 80 unless given." }),
    on_exhausted: z
      .enum(["pause", "terminate"])
      .optional()
      .meta({ description: "What happens to what runs when spent and running costs reach the limit; nothing unless given." }),
  })
  .refine(({ scope = "tenant", subject }) => (scope === "tenant") === (subject === undefined), {
    path: ["subject"],
    error: "goes with scope key, agent and profile, and must be given there",
  })
  .meta({ id: "BudgetRequest" });
export type BudgetRequest = z.infer<typeof BudgetRequest>;

export const Budget = z
  .object({
    object: z.literal("budget"),
    name: z.string(),
    tenant: z.string(),
    scope: z.enum(BUDGET_SCOPES),
    subject: z.string().nullable(),
    hard: z.boolean(),
    period: z.enum(BUDGET_PERIODS),
    limit_micro_usd: MicroUsd,
    warn_percent: z.int(),
    on_exhausted: z.enum(["terminate"]).nullable(),
    current: z
      .object({ period: z.string(), reserved_micro_usd: MicroUsd, spent_micro_usd: MicroUsd, left_micro_usd: MicroUsd })
      .meta({ description: "In the period of now. left: what a create may still reserve." }),
    created_at: z.iso.datetime(),
    updated_at: z.iso.datetime(),
  })
  .meta({ id: "Budget" });
export type Budget = z.infer<typeof Budget>;

export const ACCOUNT_KINDS = ["byok", "credits", "self_hosted"] as const;

/** Body of `PUT /v1/accounts/{name}`. */
export const AccountRequest = z
  .strictObject({
    kind: z.enum(ACCOUNT_KINDS).meta({
      description: "byok: the vendor bills its owner; credits: prepaid, and empty when they are used; self_hosted: what own hosts cost.",
    }),
    tenant: Name.optional().meta({ description: "Pays for that tenant alone; for everyone unless given." }),
    backends: z.array(Name).min(1).max(64).optional().meta({ description: "Pays for these alone; for all unless given." }),
    limit_micro_usd: Amount.optional().meta({ description: "Of all that it ever reserves and spends; none unless given." }),
  })
  .meta({ id: "AccountRequest" });
export type AccountRequest = z.infer<typeof AccountRequest>;

export const Account = z
  .object({
    object: z.literal("account"),
    name: z.string(),
    kind: z.enum(ACCOUNT_KINDS),
    tenant: z.string().nullable(),
    backends: z.array(z.string()).nullable(),
    limit_micro_usd: MicroUsd.nullable(),
    funded_micro_usd: MicroUsd.meta({ description: "Credits and adjustments, added up." }),
    reserved_micro_usd: MicroUsd,
    spent_micro_usd: MicroUsd,
    left_micro_usd: MicroUsd.nullable().meta({ description: "What can still be reserved; null: nothing bounds it." }),
  })
  .meta({ id: "Account" });
export type Account = z.infer<typeof Account>;

/** Body of `POST /v1/accounts/{name}/entries`. */
export const AccountEntryRequest = z
  .strictObject({
    id: z
      .string()
      .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/, "must be letters, digits and . _ -, at most 128")
      .meta({ description: "Of your own: the same id is entered once, however often it is sent." }),
    kind: z.enum(["credit", "adjust"]).meta({ description: "credit: money that came in; adjust: a correction, either way." }),
    amount_micro_usd: z.int().min(-1_000_000_000_000_000).max(1_000_000_000_000_000),
    note: z.string().max(500).optional(),
  })
  .refine(({ kind, amount_micro_usd }) => amount_micro_usd !== 0 && (kind === "adjust" || amount_micro_usd > 0), {
    path: ["amount_micro_usd"],
    error: "must be more than 0; an adjustment may be less, and not 0",
  })
  .meta({ id: "AccountEntryRequest" });
export type AccountEntryRequest = z.infer<typeof AccountEntryRequest>;

export const JournalEntry = z
  .object({
    object: z.literal("entry"),
    id: z.string(),
    at: z.iso.datetime(),
    kind: z.enum(["reserve", "settle", "credit", "adjust"]),
    account: z.string(),
    tenant: z.string().nullable(),
    sandbox_id: z.string().nullable(),
    generation: z.int().nullable(),
    note: z.string().nullable(),
    postings: z.array(z.object({ account: z.string(), amount_micro_usd: MicroUsd })),
  })
  .meta({ id: "JournalEntry", description: "Its postings add up to 0." });
export type JournalEntry = z.infer<typeof JournalEntry>;

/** Body of `PUT /v1/payment-routes`. */
export const PaymentRoute = z
  .strictObject({
    tenant: NameOrAll,
    backend: NameOrAll,
    accounts: z.array(Name).max(16).meta({ description: "In the order in which they are asked; none removes the route." }),
  })
  .meta({ id: "PaymentRoute", description: 'The route that names tenant and backend comes before ones that say "*".' });
export type PaymentRoute = z.infer<typeof PaymentRoute>;

/** Whether accounts after the first of a route may pay for the tenant. */
export const PaymentConsent = z.strictObject({ fallback: z.boolean() }).meta({ id: "PaymentConsent" });
export type PaymentConsent = z.infer<typeof PaymentConsent>;

export const USAGE_BY = ["day", "tenant", "profile", "backend", "key"] as const;
export type UsageBy = (typeof USAGE_BY)[number];

const Sums = z.object({
  stays: z.int().meta({ description: "Sandboxes, each once for every backend that it was tried at." }),
  creates: z.int(),
  vcpu_seconds: z.int(),
  mem_mib_seconds: z.int(),
  disk_mib_seconds: z.int(),
  egress_bytes: z.int(),
  cost_micro_usd: MicroUsd,
  unpriced: z.int().meta({ description: "Stays whose price is not known: the cost leaves them out." }),
  upper_bounds: z.int().meta({ description: "Stays whose cost counts the CPU as busy throughout." }),
  unconfirmed: z.int().meta({ description: "Stays whose end no backend confirmed." }),
});

export const UsageReport = z
  .object({
    from: z.string(),
    to: z.string(),
    by: z.array(z.enum(USAGE_BY)),
    data: z.array(
      Sums.extend({
        day: z.string().optional(),
        tenant: z.string().optional(),
        profile: z.string().optional(),
        backend: z.string().optional(),
        key: z.string().optional().meta({ description: "Empty: the operator at the machine itself." }),
      }),
    ),
    total: Sums,
    running: z
      .object({ stays: z.int(), reserved_micro_usd: MicroUsd })
      .meta({ description: "What has not ended, and is in no other figure." }),
  })
  .meta({ id: "UsageReport", description: "What was settled on these days, UTC. A sandbox counts on the day on which it ended." });
export type UsageReport = z.infer<typeof UsageReport>;

/** A backend's own figures of a stay that is over, beside ours. */
export const Discrepancy = z
  .object({
    sandbox_id: z.string(),
    generation: z.int(),
    tenant: z.string(),
    backend: z.string(),
    cost_micro_usd: MicroUsd.nullable(),
    metered: z.record(z.string(), z.number()),
    percent: z.number().meta({ description: "The largest difference among the figures that both have." }),
  })
  .meta({ id: "Discrepancy" });
export type Discrepancy = z.infer<typeof Discrepancy>;

export const MoneyAudit = z
  .object({
    balanced: z.boolean(),
    checks: z.array(z.string()),
    findings: z.array(z.object({ check: z.string(), what: z.string() })),
    entries: z.int(),
    settled: z.int(),
    open: z.int(),
    before_the_books: z.int().meta({ description: "Stays of before costs were kept." }),
  })
  .meta({ id: "MoneyAudit" });
export type MoneyAudit = z.infer<typeof MoneyAudit>;

/** What was given to Stripe. */
export const StripeReport = z
  .object({ sent: z.int(), skipped: z.int().meta({ description: "Without a cost, or of a tenant without a customer." }), cursor: z.int() })
  .meta({ id: "StripeReport" });
export type StripeReport = z.infer<typeof StripeReport>;

/** Where usage is exported to. */
export const MoneyConfig = z.strictObject({
  stripe: z
    .strictObject({
      key_env: z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/).meta({ description: "The server's variable that holds the secret key." }),
      event_name: z.string().min(1).max(100).meta({ description: "Of the meter: what it adds up are micro-dollars." }),
      customers: z.record(Name, z.string().min(1)).meta({ description: "Stripe's customer of each tenant that is billed." }),
      url: z.url().optional().meta({ description: "Instead of Stripe's own address." }),
    })
    .optional(),
}); // prettier-ignore
export type MoneyConfig = z.infer<typeof MoneyConfig>;

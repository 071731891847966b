import type {
  Account, AccountEntryRequest, AccountRequest, Budget, BudgetRequest, Discrepancy, JournalEntry, MoneyAudit, PaymentConsent, PaymentRoute, StripeReport, UsageBy, UsageReport,
} from "../contract/money.ts"; // prettier-ignore
import { query, type Transport } from "./transport.ts";

export interface UsageOptions {
  /** First day, `YYYY-MM-DD` in UTC; 29 days before today unless given. */
  from?: string;
  /** Last day; today unless given. */
  to?: string;
  /** day unless given. */
  by?: readonly UsageBy[];
  /** Another tenant's; needs the admin scope. */
  tenant?: string;
  allTenants?: boolean;
}

export interface UsagePage {
  /** CloudEvents as a JSON batch, or CSV with a heading. */
  text: string;
  /** Give it as `after` for what follows. */
  cursor: number;
  /** Stays in it; 0: nothing was left. */
  count: number;
}

const named = (path: string, name: string): string => `${path}/${encodeURIComponent(name)}`;

/** What sandboxes cost. Amounts are whole micro-dollars. */
export class Money {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Sums of what has ended on those days. */
  async usage({ from, to, by, tenant, allTenants }: UsageOptions = {}): Promise<UsageReport> {
    const path = `/v1/usage${query({ from, to, by: by?.join(","), tenant, all_tenants: allTenants })}`;
    return this.#transport.json<UsageReport>({ method: "GET", path });
  }

  /** Settled usage from a cursor on. The same stay has the same identifiers each time. */
  async export(
    format: "cloudevents" | "focus",
    { after, limit, tenant, allTenants }: { after?: number; limit?: number; tenant?: string; allTenants?: boolean } = {},
  ): Promise<UsagePage> {
    const path = `/v1/usage/export${query({ format, after, limit, tenant, all_tenants: allTenants })}`;
    const { body, response } = await this.#transport.stream({ method: "GET", path, accept: "*/*" });
    const cursor = Number(response.headers.get("x-next-cursor"));
    return { text: await new Response(body).text(), cursor, count: Number(response.headers.get("x-count")) };
  }

  /** Gives Stripe what was settled since the last time. Needs the admin scope. */
  async toStripe(): Promise<StripeReport> {
    return this.#transport.json<StripeReport>({ method: "POST", path: "/v1/usage/export/stripe" });
  }

  /** Where a backend's own metering differs from ours by more than 5 %. */
  async discrepancies({ tenant, allTenants }: { tenant?: string; allTenants?: boolean } = {}): Promise<Discrepancy[]> {
    return this.#list(`/v1/usage/discrepancies${query({ tenant, all_tenants: allTenants })}`);
  }

  /** Whether the books balance, and what does not. Needs the admin scope. */
  async audit(): Promise<MoneyAudit> {
    return this.#transport.json<MoneyAudit>({ method: "GET", path: "/v1/money/audit" });
  }

  readonly budgets = {
    list: async ({ tenant, allTenants }: { tenant?: string; allTenants?: boolean } = {}): Promise<Budget[]> =>
      this.#list(`/v1/budgets${query({ tenant, all_tenants: allTenants })}`),
    get: async (name: string, tenant?: string): Promise<Budget> =>
      this.#transport.json({ method: "GET", path: `${named("/v1/budgets", name)}${query({ tenant })}` }),
    /** Makes it or changes its terms. Needs the admin scope. */
    set: async (name: string, request: BudgetRequest): Promise<Budget> =>
      this.#transport.json({ method: "PUT", path: named("/v1/budgets", name), json: request }),
    remove: async (name: string, tenant?: string): Promise<Budget> =>
      this.#transport.json({ method: "DELETE", path: `${named("/v1/budgets", name)}${query({ tenant })}` }),
  };

  /** Who pays. Changes need the admin scope; `setConsent` is the tenant's own. */
  readonly accounts = {
    list: async (): Promise<Account[]> => this.#list("/v1/accounts"),
    get: async (name: string): Promise<Account> => this.#transport.json({ method: "GET", path: named("/v1/accounts", name) }),
    set: async (name: string, request: AccountRequest): Promise<Account> =>
      this.#transport.json({ method: "PUT", path: named("/v1/accounts", name), json: request }),
    remove: async (name: string): Promise<Account> => this.#transport.json({ method: "DELETE", path: named("/v1/accounts", name) }),
    /** Adds credits, or corrects. The same `id` is entered once, so it is safe to repeat. */
    enter: async (name: string, request: AccountEntryRequest): Promise<Account> =>
      this.#transport.json({ method: "POST", path: `${named("/v1/accounts", name)}/entries`, json: request, repeatable: true }),
    /** Newest first. */
    entries: async (name: string, { limit }: { limit?: number } = {}): Promise<JournalEntry[]> =>
      this.#list(`${named("/v1/accounts", name)}/entries${query({ limit })}`),
    routes: async (): Promise<PaymentRoute[]> => this.#list("/v1/payment-routes"),
    setRoute: async (route: PaymentRoute): Promise<PaymentRoute> =>
      this.#transport.json({ method: "PUT", path: "/v1/payment-routes", json: route }),
    consent: async (): Promise<PaymentConsent> => this.#transport.json({ method: "GET", path: "/v1/payment-consent" }),
    setConsent: async (consent: PaymentConsent): Promise<PaymentConsent> =>
      this.#transport.json({ method: "PUT", path: "/v1/payment-consent", json: consent }),
  };

  async #list<T>(path: string): Promise<T[]> {
    return (await this.#transport.json<{ data: T[] }>({ method: "GET", path })).data;
  }
}

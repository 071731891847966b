import type {
  Account, AccountEntryRequest, AccountRequest, Budget, BudgetRequest, Discrepancy, JournalEntry, MoneyAudit, PaymentConsent, PaymentRoute, Principal, StripeReport, UsageBy, UsageReport,
} from "../../contract/index.ts"; // prettier-ignore
import type { ExportPage, ExportQuery } from "./export/pages.ts";

/** The verbs of money. What changes something needs the scope admin, unless it says otherwise; tenants see their own. */
export interface MoneyEngine {
  budgets: {
    /** Makes it or changes its terms. A new one counts what runs already. `conflict` where it counts something else. */
    set(who: Principal, name: string, request: BudgetRequest): Promise<Budget>;
    list(who: Principal, query?: { tenant?: string; allTenants?: boolean }): Promise<Budget[]>;
    get(who: Principal, name: string, tenant?: string): Promise<Budget>;
    /** Answers with how it stood last. */
    remove(who: Principal, name: string, tenant?: string): Promise<Budget>;
  };
  accounts: {
    set(who: Principal, name: string, request: AccountRequest): Promise<Account>;
    list(who: Principal): Promise<Account[]>;
    get(who: Principal, name: string): Promise<Account>;
    /** `conflict` while it pays for something. */
    remove(who: Principal, name: string): Promise<Account>;
    /** Adds credits, or corrects. Once for each id; `conflict` for the same id with another content. */
    enter(who: Principal, name: string, request: AccountEntryRequest): Promise<Account>;
    /** Newest first. */
    entries(who: Principal, name: string, query: { limit: number }): Promise<JournalEntry[]>;
    routes(who: Principal): Promise<PaymentRoute[]>;
    setRoute(who: Principal, route: PaymentRoute): Promise<PaymentRoute>;
    consent(who: Principal): Promise<PaymentConsent>;
    /** The tenant's own to say. */
    setConsent(who: Principal, consent: PaymentConsent): Promise<PaymentConsent>;
  };
  money: {
    /** Sums of what was settled; the last 30 days by day unless the query says otherwise. */
    usage(
      who: Principal,
      query: { from?: string; to?: string; by?: readonly UsageBy[]; tenant?: string; allTenants?: boolean },
    ): Promise<UsageReport>;
    /** Reads all the books, and holds every writer up meanwhile. */
    audit(who: Principal): Promise<MoneyAudit>;
    discrepancies(who: Principal, query: { tenant?: string; allTenants?: boolean; limit: number }): Promise<Discrepancy[]>;
    export(who: Principal, query: ExportQuery): Promise<ExportPage>;
    toStripe(who: Principal): Promise<StripeReport>;
  };
}

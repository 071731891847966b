import type { Selectable } from "kysely";

/** Amounts are whole micro-dollars, times epoch milliseconds, booleans 0 and 1. */
type Json = string;

export interface MoneySequenceTable {
  name: string;
  value: number;
}

/** One thing that moved money. Never changed once it is written: a correction is another entry. */
export interface MoneyEntryTable {
  /** Says what it is of, so that nothing can be entered twice: `reserve:<sandbox>:<generation>`, `credit:<account>:<id>`, ... */
  id: string;
  at: number;
  kind: "reserve" | "settle" | "credit" | "adjust";
  account: string;
  tenant: string | null;
  sandbox_id: string | null;
  generation: number | null;
  note: string | null;
}

/** The amounts of one entry add up to 0. */
export interface MoneyPostingTable {
  entry_id: string;
  line: number;
  /** `funds/<account>`, `held/<account>`, `cost/<account>`, `outside/<account>`, `adjusted/<account>`. */
  account: string;
  amount: number;
}

export interface MoneyBalanceTable {
  account: string;
  balance: number;
}

export interface AccountTable {
  name: string;
  kind: "byok" | "credits" | "self_hosted";
  /** Pays for that tenant alone; null: for everyone. */
  tenant: string | null;
  /** Pays for these backends alone; null: for all. */
  backends: Json | null;
  limit_micro_usd: number | null;
  funded: number;
  reserved: number;
  spent: number;
  created_at: number;
  removed_at: number | null;
}

/** `*` stands for every tenant, every backend. */
export interface PaymentRouteTable {
  tenant: string;
  backend: string;
  /** Names of accounts, in the order in which they are asked. */
  accounts: Json;
  updated_at: number;
}

export interface PaymentConsentTable {
  tenant: string;
  fallback: number;
  updated_at: number;
}

/** One stay of a sandbox at one backend, as money sees it: beside the usage row of the same key. */
export interface StayTable {
  sandbox_id: string;
  generation: number;
  tenant: string;
  backend: string;
  profile: string;
  /** Empty: the operator at the machine itself. */
  key_id: string;
  agent: string | null;
  account: string;
  /** The `Price` that held when it began; null: unknown. */
  price: Json | null;
  /** An hour of it, its CPU busy throughout. */
  rate: number | null;
  /** The most that it can cost; null: cannot be said. */
  largest: number | null;
  reserved: number;
  /** Why `largest` is not known. */
  unknown_because: string | null;
  opened_at: number;
  /** The settlement's number; null while it is open. */
  seq: number | null;
  settled_at: number | null;
  /** null: open, or its price is not known. */
  cost: number | null;
  precision: "exact" | "upper_bound" | null;
  /** 0: the backend did not say that it had ended. */
  confirmed: number | null;
  /** What the backend's own metering is asked for: `wanted`, `had`, `none`; null: it has none. */
  meter: "wanted" | "had" | "none" | null;
  metered: Json | null;
  metered_at: number | null;
  /** 1: the backend's own figures differ from ours by more than is let pass. */
  flagged: number;
}

export interface BudgetTable {
  tenant: string;
  name: string;
  scope: "tenant" | "key" | "agent" | "profile";
  /** Empty with scope tenant. */
  subject: string;
  hard: number;
  period: "total" | "month" | "day";
  limit_micro_usd: number;
  warn_percent: number;
  on_exhausted: "terminate" | null;
  created_at: number;
  updated_at: number;
}

export interface BudgetPeriodTable {
  tenant: string;
  budget: string;
  /** `total`, `2026-11`, `2026-11-25`. */
  period: string;
  reserved: number;
  spent: number;
  warned_at: number | null;
  exhausted_at: number | null;
}

/** What one stay takes of one budget. */
export interface BudgetHoldTable {
  sandbox_id: string;
  generation: number;
  tenant: string;
  budget: string;
  period: string;
  amount: number;
  /** null while the stay is open. */
  cost: number | null;
}

/** What was settled on a day (UTC). */
export interface UsageDayTable {
  day: string;
  tenant: string;
  profile: string;
  backend: string;
  key_id: string;
  stays: number;
  creates: number;
  vcpu_seconds: number;
  mem_mib_seconds: number;
  disk_mib_seconds: number;
  egress_bytes: number;
  cost: number;
  /** Stays whose cost is not known, which `cost` therefore leaves out. */
  unpriced: number;
  /** Stays whose cost is counted as if their CPU had been busy throughout. */
  upper_bounds: number;
  unconfirmed: number;
}

export interface MoneyTables {
  money_sequence: MoneySequenceTable;
  money_entries: MoneyEntryTable;
  money_postings: MoneyPostingTable;
  money_balances: MoneyBalanceTable;
  accounts: AccountTable;
  payment_routes: PaymentRouteTable;
  payment_consents: PaymentConsentTable;
  stays: StayTable;
  budgets: BudgetTable;
  budget_periods: BudgetPeriodTable;
  budget_holds: BudgetHoldTable;
  usage_days: UsageDayTable;
}

export type MoneyEntryRow = Selectable<MoneyEntryTable>;
export type AccountRow = Selectable<AccountTable>;
export type PaymentRouteRow = Selectable<PaymentRouteTable>;
export type StayRow = Selectable<StayTable>;
export type BudgetRow = Selectable<BudgetTable>;
export type BudgetPeriodRow = Selectable<BudgetPeriodTable>;
export type BudgetHoldRow = Selectable<BudgetHoldTable>;

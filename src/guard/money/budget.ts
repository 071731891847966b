/** Of whom a budget speaks. */
export interface BudgetTerms {
  readonly scope: "tenant" | "key" | "agent" | "profile";
  readonly subject: string;
  readonly period: "total" | "month" | "day";
}

/** What a sandbox is to a budget; its tenant is the budget's. */
export interface Spender {
  /** Empty: no key. */
  readonly keyId: string;
  readonly agent: string | null;
  readonly profile: string;
}

/** Whether the budget counts what that sandbox costs. */
export function counts({ scope, subject }: BudgetTerms, { keyId, agent, profile }: Spender): boolean {
  return scope === "tenant" || subject === { key: keyId, agent, profile }[scope];
}

/** The name of the period in which a time lies, in UTC. A sandbox counts in the one in which it began, whole. */
export function periodOf(period: BudgetTerms["period"], at: number): string {
  if (period === "total") return "total";
  return new Date(at).toISOString().slice(0, period === "month" ? 7 : 10);
}

/** Whether that part of the limit is reached; of a limit of 0 everything is. */
export function reaches(amount: number, limit: number, percent: number): boolean {
  return BigInt(amount) * 100n >= BigInt(limit) * BigInt(percent);
}

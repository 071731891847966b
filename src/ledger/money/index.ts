/** The books, and what is summed over them. */
export * from "./accounts.ts";
export * from "./audit.ts";
export * from "./budgets.ts";
export * from "./journal.ts";
export * from "./stays.ts";
export * from "./usage-days.ts";

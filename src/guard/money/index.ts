export * from "./book.ts";
export * from "./budget.ts";
export * from "./payers.ts";
export * from "./price.ts";
export * from "./reconcile.ts";

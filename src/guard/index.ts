/** What says no, and what narrows. */
export * from "./merge.ts";
export type * from "./merge-routing.ts";
export * from "./quota.ts";

/** What says no, and what narrows. */
export * from "./merge.ts";
export type * from "./merge-routing.ts";
export * from "./quota.ts";
export {
  type Allowed,
  denied as secretDenied,
  openSealer,
  readSource,
  type Sealer,
  unusable as unusableSecret,
  withholdCoreDumps,
} from "./secrets/index.ts";

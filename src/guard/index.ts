/** What says no, and what narrows. */
export * from "./ask-policy.ts";
export { compilePolicy } from "./egress/policy/index.ts";
export * from "./boundary-from-config.ts";
export * from "./merge-network.ts";
export * from "./merge-rest.ts";
export * from "./merge.ts";
export type * from "./merge-routing.ts";
export * from "./money/index.ts";
export * from "./policy/index.ts";
export * from "./quota.ts";
export * from "./secret-bindings.ts";
export * from "./suggest-rules.ts";
export {
  type Allowed,
  denied as secretDenied,
  openSealer,
  readSource,
  type Sealer,
  unusable as unusableSecret,
  withholdCoreDumps,
} from "./secrets/index.ts";

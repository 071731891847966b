/** Admission: who may do what to what, by rules in Cedar. */
export * from "./authorize.ts";
export { type Policy, preparePolicy, type Verdict } from "./evaluate.ts";
export { type Ask, type Asker, atLeast, egressFacts, type Facts, type Thing } from "./facts.ts";
export * from "./question.ts";
export { NO_RULES, readRules, readStored, type Rules } from "./read.ts";
export { POLICY_SCHEMA } from "./schema.ts";

/** What happened, and how things stand. */
export * from "./events.ts";
export * from "./execs.ts";
export * from "./idempotency.ts";
export * from "./instances.ts";
export * from "./keys.ts";
export * from "./ledger.ts";
export * from "./measurements.ts";
export * from "./meta.ts";
export * from "./network-log.ts";
export * from "./networks.ts";
export * from "./ports.ts";
export * from "./processes.ts";
export * from "./profiles.ts";
export * from "./sandboxes.ts";
export type * from "./schema.ts";
export * from "./secrets.ts";
export * from "./storage-error.ts";
export * from "./usage.ts";

/** Secrets at rest, and where their values come from. */
export * from "./key.ts";
export * from "./sealer.ts";

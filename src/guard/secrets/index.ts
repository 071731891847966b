/** Secrets at rest, and where their values come from. */
export { withholdCoreDumps } from "./core-dumps.ts";
export { KEY_VARIABLE, keyFile } from "./key.ts";
export { openSealer, type Sealer } from "./sealer.ts";
export { type Allowed, denied } from "./source-policy.ts";
export { type HostSource, readSource } from "./sources.ts";
export { unusable, valueOf } from "./value.ts";

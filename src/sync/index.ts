/** A directory of this machine in step with one in a sandbox; for Node. The rest of the client is `sand-boxer/sdk`. */
export type { SyncChange, SyncConflict, SyncOptions, SyncReport } from "./options.ts";
export { sync } from "./sync.ts";

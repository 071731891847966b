/**
 * The boundary's process: `node boundary.js DATA-DIRECTORY`, started by whoever first needs it (src/guard/egress/process/start.ts). Composition root
 * of its own: it has no ledger, no server and no provider, so that what holds the secrets' values is small.
 */
import { flushCompileCache } from "node:module";
import { makeAuthority } from "./guard/egress/inspect/authority.ts";
import { createInspector } from "./guard/egress/inspect/inspector.ts";
import { openLog } from "./guard/egress/process/log.ts";
import { logPath } from "./guard/egress/process/place.ts";
import { serveBoundary } from "./guard/egress/process/serve.ts";
import { openSealer, withholdCoreDumps } from "./guard/secrets/index.ts";
import { openNetns } from "./netns/index.ts";

const [dataDirectory] = process.argv.slice(2);
if (dataDirectory === undefined) {
  console.error("usage: boundary DATA-DIRECTORY");
  process.exit(64);
}

const log = openLog(logPath(dataDirectory));
if (!withholdCoreDumps()) log("core dumps of this process would hold secrets: /proc/self/coredump_filter cannot be written");
const sealer = openSealer(dataDirectory);
// The key is in memory now; a child has no use for it.
delete process.env["SANDBOXER_SECRETS_KEY"];
const end = await serveBoundary({
  dataDirectory,
  sealer,
  netns: openNetns(),
  makeAuthority,
  makeInspector: createInspector,
  log,
  onEnd: () => process.exit(0),
});
for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, end);
// For the next start: one that is killed would keep nothing.
setImmediate(flushCompileCache);
// Fail closed: what cannot be trusted any more ends, and whoever needs it starts another with the same policies.
process.on("uncaughtException", (thrown) => {
  log("a fault", thrown);
  process.exit(70);
});

import type { Failpoint } from "../../src/engine/index.ts";
import { MemoryBoundary } from "../support/memory-boundary.ts";
import { openBenchIn, OWNER, run } from "./bench.ts";

/** Does the whole job once, and is killed at the failpoint named on the command line. */
const [directory = "", at] = process.argv.slice(2);
const failpoint = (name: Failpoint) => {
  if (name === at) process.kill(process.pid, "SIGKILL");
};
const bench = await openBenchIn(directory, { engine: { failpoint }, boundary: new MemoryBoundary() });
await bench.engine.profiles.apply(OWNER, {
  kind: "profile",
  name: "set",
  version: 1,
  setup: ["true"],
  network: { allow: [{ host: "api.example.com" }] },
});
const { sandbox } = await bench.engine.create(OWNER, { profile: "set" }, { idempotencyKey: "k" });
await run(bench.engine, OWNER, sandbox.id, "true");
await bench.engine.processes.start(OWNER, sandbox.id, { argv: ["true"] });
await bench.engine.network.update(OWNER, sandbox.id, { allow: [] });
await bench.engine.destroy(OWNER, sandbox.id);
process.exit(0);

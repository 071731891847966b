import { openSandboxer } from "../../src/main.ts";
import { localConfig, OWNER, PRICE, runCommand } from "../support/local-engine.ts";

/** Does the whole job once in a process of its own, and is killed by the kernel at the step named on the command line. */
const [dataDir = "", runtime = "", at = "", key = ""] = process.argv.slice(2);
const { engine } = await openSandboxer({
  dataDir,
  config: localConfig({ runtime, price: PRICE }),
  failpoint: (name) => {
    if (name === at) process.kill(process.pid, "SIGKILL");
  },
});
// Whoever kills at moments rather than at steps counts from here.
process.stdout.write("begin\n");
await engine.profiles.apply(OWNER, {
  kind: "profile",
  name: "set",
  version: 1,
  setup: ["echo made >made"],
  network: { allow: [{ host: "allowed.test" }] },
});
const { sandbox } = await engine.create(OWNER, { profile: "set", metadata: { key } }, { idempotencyKey: key });
await runCommand(engine, OWNER, sandbox.id, { shell: at === "exec.after_start" ? "sleep 300" : "true" });
await engine.processes.start(OWNER, sandbox.id, { shell: "echo up; sleep 300" });
await engine.network.update(OWNER, sandbox.id, { allow: [] });
await engine.destroy(OWNER, sandbox.id);
process.exit(0);

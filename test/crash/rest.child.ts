import { openSandboxer } from "../../src/main.ts";
import { localConfig, OWNER, runCommand } from "../support/local-engine.ts";

/** Brings a sandbox to rest and back, both ways, in a process of its own, and is killed by the kernel at the step named on the command line. */
const [dataDir = "", runtime = "", at = ""] = process.argv.slice(2);
let resting = false;
const { engine } = await openSandboxer({
  dataDir,
  config: localConfig({ runtime }),
  failpoint: (name) => {
    if (resting && name === at) process.kill(process.pid, "SIGKILL");
  },
});
await engine.profiles.apply(OWNER, {
  kind: "profile",
  name: "kept",
  version: 1,
  persistence: "persistent",
  network: { allow: [{ host: "allowed.test" }] },
});
const { sandbox } = await engine.create(OWNER, { profile: "kept" }, {});
await runCommand(engine, OWNER, sandbox.id, { shell: "echo kept >kept" });
await engine.processes.start(OWNER, sandbox.id, { shell: "echo up; sleep 300" });
resting = true;
await engine.pause(OWNER, sandbox.id, {});
await engine.resume(OWNER, sandbox.id);
await engine.pause(OWNER, sandbox.id, { to: "suspended" });
await engine.resume(OWNER, sandbox.id);
process.exit(0);

import { openSandboxer } from "../../src/main.ts";
import { localConfig, OWNER } from "../support/local-engine.ts";

/** Keeps a sandbox that is there, and is killed by the kernel at the step named on the command line. */
const [dataDir = "", runtime = "", at = "", id = ""] = process.argv.slice(2);
const { engine } = await openSandboxer({
  dataDir,
  config: localConfig({ runtime }),
  failpoint: (name) => {
    if (name === at) process.kill(process.pid, "SIGKILL");
  },
});
await engine.snapshots.create(OWNER, id, {});
process.exit(0);

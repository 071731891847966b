import { openSandboxer } from "../../../src/main.ts";
import { OWNER } from "../../support/local-engine.ts";
import { e2bConfig } from "./engine-config.ts";

/** Creates one sandbox in a process of its own, which the kernel kills at the step named on the command line. The key is in its environment. */
const [dataDir = "", url = "", at = ""] = process.argv.slice(2);
const { engine } = await openSandboxer({
  dataDir,
  config: e2bConfig(url),
  failpoint: (name) => {
    if (name === at) process.kill(process.pid, "SIGKILL");
  },
});
await engine.create(OWNER, {}, {});
process.exit(0);

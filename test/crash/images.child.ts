import { LOCAL_OPERATOR } from "../../src/contract/index.ts";
import { openSandboxer } from "../../src/main.ts";
import { dockerArchive, smallSystem } from "../support/image-files.ts";
import { localConfig, OWNER } from "../support/local-engine.ts";

/** Takes an image in and makes a sandbox on it, and is killed by the kernel at the step named on the command line. */
const [dataDir = "", runtime = "", at = ""] = process.argv.slice(2);
const { engine } = await openSandboxer({
  dataDir,
  config: localConfig({ runtime }),
  failpoint: (name) => {
    if (name === at) process.kill(process.pid, "SIGKILL");
  },
});
async function* archive(): AsyncGenerator<Uint8Array> {
  yield dockerArchive({ layers: [smallSystem()], tags: ["app"] });
}
for await (const step of await engine.images.import(LOCAL_OPERATOR, archive(), {})) void step;
if (!at.startsWith("local.create.")) process.exit(0);
await engine.profiles.apply(OWNER, { kind: "profile", name: "app", version: 1, image: "oci:app" });
await engine.create(OWNER, { profile: "app" }, {});
process.exit(0);

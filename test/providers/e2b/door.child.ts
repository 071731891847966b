import { LOCAL_OPERATOR } from "../../../src/contract/index.ts";
import { openSandboxer, serverOver } from "../../../src/main.ts";
import { cleanUp, localConfig } from "../../support/local-engine.ts";

/** Our own E2B door as a server of its own: says its address and a key on one line, and ends with its standard input. */
const [dataDir = ""] = process.argv.slice(2);
// It sweeps at intervals, which is what ends a sandbox at its timeout.
const opened = await openSandboxer({ dataDir, config: { ...localConfig(), sweep_interval: 1 }, stays: true });
const server = await serverOver(opened);
const { url } = await server.listen({ port: 0 });
const { secret } = await opened.engine.keys.create(LOCAL_OPERATOR, { name: "upstream", tenant: "acme", scopes: ["read", "write"] });
process.stdout.write(`${JSON.stringify({ url, key: secret.replace(/^sbx_/, "e2b_") })}\n`);
process.stdin.resume();
process.stdin.once("end", () => {
  void server
    .close()
    .then(() => cleanUp(opened))
    .then(() => process.exit(0));
});

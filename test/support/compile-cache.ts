import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { forgetProbes } from "./probed.ts";

const ROOT = join(import.meta.dirname, "../..");

/** Where Node keeps what it compiled, and what it made of TypeScript, by the hash of each file's text. */
export const COMPILE_CACHE = join(ROOT, "node_modules", ".cache", "compiled");

/** What the tests start as processes of their own: the CLI, engines that are killed, servers, the boundary. */
const LOADED = [
  "src/cli/dispatch.ts",
  "src/cli/in-process.ts",
  "src/main.ts",
  "src/server/server.ts",
  "src/server/listener.ts",
  "src/server/e2b/index.ts",
  "src/providers/local/index.ts",
  "src/providers/fake/index.ts",
  "src/guard/egress/inspect/authority.ts",
  "src/guard/egress/inspect/inspector.ts",
  "src/guard/egress/process/serve.ts",
];

/**
 * Compiles once what hundreds of child processes load: without it each spends 0.6 s of processor time on that, and one that is
 * killed leaves nothing compiled for the next.
 */
export default function compileAhead(): void {
  forgetProbes();
  const loads = LOADED.map((file) => `await import(${JSON.stringify(pathToFileURL(join(ROOT, file)).href)});`).join("\n");
  execFileSync(process.execPath, ["--disable-warning=ExperimentalWarning", "--input-type=module", "-e", `${loads}\nprocess.exit(0);`], {
    env: { ...process.env, NODE_COMPILE_CACHE: COMPILE_CACHE },
    stdio: ["ignore", "ignore", "inherit"],
  });
}

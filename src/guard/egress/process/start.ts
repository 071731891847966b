import { spawn } from "node:child_process";
import { closeSync, existsSync, mkdirSync, openSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { SandboxerError } from "../../../contract/index.ts";
import { KEY_VARIABLE } from "../../secrets/index.ts";
import { boundaryDirectory, lockPath, logPath } from "./place.ts";

/** Beside the build it is JavaScript, beside the sources it is not. */
const ENTRY = fileURLToPath(new URL(import.meta.url.endsWith(".ts") ? "../../../boundary.ts" : "../../../boundary.js", import.meta.url));

/**
 * Starts the boundary's process, on its own and apart from this one's terminal and life. Where one runs already the new one ends at once: the
 * kernel's lock on a file decides, which no crash leaves behind.
 */
export function startBoundary(dataDirectory: string): void {
  mkdirSync(boundaryDirectory(dataDirectory), { recursive: true, mode: 0o700 });
  if (!existsSync(ENTRY)) throw new SandboxerError("internal", `the boundary's program is not at ${ENTRY}`);
  const log = openSync(logPath(dataDirectory), "a", 0o600);
  closeSync(openSync(lockPath(dataDirectory), "a", 0o600));
  // Compiled code is kept, since nothing gets out until it stands. Private: whoever could write there could run code as us.
  const kept = join(dataDirectory, "cache");
  mkdirSync(kept, { recursive: true, mode: 0o700 });
  const { PATH = "/usr/sbin:/usr/bin:/sbin:/bin", [KEY_VARIABLE]: key, NODE_COMPILE_CACHE: compiled = kept } = process.env;
  try {
    const node = [process.execPath, "--disable-warning=ExperimentalWarning", "--max-semi-space-size=4", ENTRY, dataDirectory];
    const child = spawn("flock", ["--no-fork", "--nonblock", lockPath(dataDirectory), ...node], {
      detached: true,
      stdio: ["ignore", "ignore", log],
      cwd: "/",
      env: { PATH, NODE_COMPILE_CACHE: compiled, ...(key === undefined ? {} : { [KEY_VARIABLE]: key }) },
    });
    // Without flock(1) nothing answers, which whoever waits for it says.
    child.once("error", () => {});
    child.unref();
  } finally {
    closeSync(log);
  }
}

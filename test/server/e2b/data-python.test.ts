import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { openE2bDoor } from "./e2b-door.ts";
import { pythonWithE2b } from "./python.ts";

const found = await pythonWithE2b();
if ("missing" in found) console.log(`skipped: test/server/e2b/data-python: ${found.missing}`);

test.skipIf("missing" in found)(
  "the official Python SDK runs commands and terminals, moves files and watches directories",
  async () => {
    if ("missing" in found) return;
    const door = await openE2bDoor();
    const { apiKey, apiUrl, sandboxUrl } = await door.connection();
    const env = { ...process.env, E2B_API_KEY: apiKey, E2B_API_URL: apiUrl, E2B_SANDBOX_URL: sandboxUrl };
    const { stdout } = await promisify(execFile)(found.python, [join(import.meta.dirname, "data.py")], { env, timeout: 55_000 });
    expect(stdout).toBe("all of it held\n");
  },
  60_000,
);

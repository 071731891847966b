import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { expect, it } from "vitest";
import { dataDirectory, removeDataDirectory } from "../support/local-engine.ts";

const SCRIPT = join(import.meta.dirname, "../../scripts/quickstart.ts");

function quickstart(data: string) {
  return spawnSync(process.execPath, [SCRIPT], { env: { ...process.env, SANDBOXER_DATA: data, NO_COLOR: "1" }, encoding: "utf8" });
}

const root = process.getuid?.() === 0;

it("runs the main job on real input, keeps every promise it states, and leaves nothing", (context) => {
  if (!root) context.skip("the quickstart needs root");
  const data = dataDirectory("quickstart");
  try {
    for (const run of ["first", "second"]) {
      const { status, stdout, stderr } = quickstart(data);
      expect({ run, status, stderr, broken: stdout.split("\n").filter((line) => line.includes("✗")) }).toMatchObject({
        status: 0,
        stderr: "",
        broken: [],
      });
      expect(stdout).not.toContain("\u001b");
      expect(stdout).toMatch(/480 orders read/);
      expect(stdout).toMatch(/Ran 8 tests[\s\S]*OK/);
      expect(stdout).toMatch(/cloud metadata: 169\.254\.169\.254 .* out of reach/);
      expect(stdout).toMatch(/the host's \/etc\/shadow +\d+ bytes read +out of reach/);
      expect(stdout).toMatch(/route: local: /);
      expect(stdout).toMatch(/sandbox\.terminated/);
      expect(stdout).toMatch(/processes +0 +\d+ +0/);
    }
  } finally {
    removeDataDirectory(data);
  }
});

it("says without root what it needs, and fails", (context) => {
  if (root) context.skip("this is root");
  const { status, stdout } = quickstart("/nonexistent");
  expect(status).toBe(1);
  expect(stdout).toContain("sudo npm run quickstart");
});

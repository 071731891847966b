import { spawnSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";

it("a log that has grown is begun anew, and what it held is beside it", () => {
  const directory = mkdtempSync(join(tmpdir(), "sbx-log-"));
  const path = join(directory, "log");
  try {
    writeFileSync(path, "old\n".repeat((4 * 1024 ** 2) / 4));
    const fd = openSync(path, "a");
    const program = `const { openLog } = await import(${JSON.stringify(join(import.meta.dirname, "../../../../src/guard/egress/process/log.ts"))}); const log = openLog(${JSON.stringify(path)}); log("first"); log("second", new Error("why"));`;
    const { status } = spawnSync(process.execPath, ["--input-type=module", "-e", program], { stdio: ["ignore", "inherit", fd] });
    closeSync(fd);
    expect(status).toBe(0);
    expect(readFileSync(path, "utf8")).toMatch(/^\S+Z first\n\S+Z second: Error: why\n/);
    expect([statSync(`${path}.1`).size, readFileSync(`${path}.1`, "utf8").slice(0, 4)]).toEqual([4 * 1024 ** 2, "old\n"]);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

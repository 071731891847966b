import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";

const writesFiles = readFileSync("/proc/sys/kernel/core_pattern", "utf8").trim() === "core";

/** Crashes a process that has read `value`, in a directory of its own; answers what it said and its core file. */
function crash(how: string, value: string): { said: string; core: string } {
  const directory = mkdtempSync(join(tmpdir(), "sbx-core-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const line = `ulimit -c unlimited && exec '${process.execPath}' '${join(import.meta.dirname, "crash.child.ts")}' ${how}`;
  const { stdout } = spawnSync("sh", ["-c", line], { cwd: directory, input: value, encoding: "utf8" });
  return { said: stdout, core: join(directory, "core") };
}

/** `grep`, as half a gigabyte of mostly nothing is to be looked through. */
function holds(path: string, value: string): boolean {
  const { status } = spawnSync("grep", ["-qaF", value, path]);
  expect([0, 1]).toContain(status);
  return status === 0;
}

describe.skipIf(!writesFiles)("a process that holds secrets", () => {
  it("leaves none in the core dump of its crash", () => {
    const value = `v${crypto.randomUUID()}`;
    const plain = crash("plain", value);
    expect(plain.said).toBe(`false ${value.length}\n`);
    expect(holds(plain.core, value), "the positive control: without it, the value is there").toBe(true);
    rmSync(plain.core);
    const withheld = crash("withheld", value);
    expect(withheld.said).toBe(`true ${value.length}\n`);
    expect(statSync(withheld.core).size).toBeLessThan(1 << 20);
    expect(holds(withheld.core, value)).toBe(false);
  });
});

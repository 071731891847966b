import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { diagnose } from "../../../src/providers/local/doctor.ts";
import { mountPoints } from "../../../src/providers/local/disk/image.ts";

const RANK = { error: 0, warn: 1, info: 2 };

describe("the doctor of the local provider", () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "sand-boxer-doctor-"));
    chmodSync(directory, 0o711);
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  test("says what is wrong first and errors before the rest, each under a name of its own", async () => {
    const findings = await diagnose({ directory: join(directory, "backends/local"), options: {} });
    const ranks = findings.map(({ ok, level }) => (ok ? 3 : RANK[level]));
    expect(ranks).toEqual([...ranks].sort((a, b) => a - b));
    expect(new Set(findings.map(({ id }) => id)).size).toBe(findings.length);
    expect(findings.map(({ id }) => id)).toEqual(
      expect.arrayContaining([
        "node",
        "user",
        "kernel.seccomp",
        "program.perl",
        "data.space",
        "runtime.crun",
        "runtime.runc",
        "runtime.runsc",
      ]),
    );
    if (process.getuid?.() === 0) {
      expect(findings.map(({ id }) => id)).toEqual(
        expect.arrayContaining(["program.ip", "program.nft", "network.kernel", "egress.container"]),
      );
      expect(findings.find(({ id }) => id === "egress.container")).toMatchObject({ ok: true });
    }
    expect(findings.find(({ id }) => id === "node")).toMatchObject({ ok: true, title: `Node ${process.versions.node}` });
  });

  test("changes nothing and leaves nothing", async () => {
    const mounts = mountPoints().size;
    await diagnose({ directory: join(directory, "backends/local"), options: {} });
    expect(readdirSync(directory)).toEqual([]);
    expect([...mountPoints()].filter((path) => path.startsWith(directory))).toEqual([]);
    expect(mounts).toBeGreaterThan(0);
  });

  test("names the directory that keeps sandboxes out, and the command that opens it", async () => {
    if (process.getuid?.() !== 0) return;
    const closed = join(directory, "it's closed");
    mkdirSync(closed, { mode: 0o700 });
    const findings = await diagnose({ directory: join(closed, "data/backends/local"), options: {} });
    expect(findings.find(({ id }) => id === "data.passage")).toMatchObject({
      ok: false,
      level: "error",
      fix: { command: `chmod o+x '${directory}/it'\\''s closed'` },
    });
  });

  test("finds options that are wrong, and examines the rest", async () => {
    const findings = await diagnose({ directory, options: { disk: "floppy" } });
    expect(findings[0]).toMatchObject({ id: "options", ok: false, level: "error", detail: expect.stringContaining("disk") as string });
    expect(findings.length).toBeGreaterThan(8);
  });

  test("takes a runtime that cannot be started for one that does not work, and looks at the others", async () => {
    const programs = join(directory, "programs");
    mkdirSync(join(programs, "runsc"), { recursive: true });
    writeFileSync(join(programs, "crun"), "no program at all", { mode: 0o755 });
    const path = process.env["PATH"];
    process.env["PATH"] = `${programs}:${path}`;
    try {
      const findings = await diagnose({ directory, options: { runtimes: ["crun", "runc"], disk: "tmpfs" } });
      expect(findings.find(({ id }) => id === "runtime.crun")).toMatchObject({ ok: false, detail: `${programs}/crun does not run` });
      expect(findings.map(({ id }) => id)).toContain("runtime.runc");
    } finally {
      process.env["PATH"] = path;
    }
  });
});

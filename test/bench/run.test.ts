import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { describe, expect, it } from "vitest";
import { CASES } from "../../bench/options.ts";
import { missingPackages } from "../../bench/network/programs.ts";
import type { Scale } from "../../bench/stage.ts";

const TINY: Scale = {
  creates: 2, execs: 2, burst: 3, workers: 2, live: 12, restarts: 1, fileSizes: [1], fileRounds: 1, commands: 1, syncFiles: 200, idleRounds: 1, transfer: 1, streams: 3, ledgerRows: 2000, streamSeconds: 1, rate: 20, rateSeconds: 1, connections: 100, connectionSeconds: 3, seconds: 5,
}; // prettier-ignore

function runtimeIsThere(): boolean {
  try {
    execFileSync("sh", ["-c", "command -v crun || command -v runc"], { stdio: "ignore" });
    return true;
  } catch {
    // `command` says no by its exit code.
    return false;
  }
}

const possible = process.getuid?.() === 0 && runtimeIsThere();
if (!possible) process.stderr.write("the benchmark is not tried: it needs root, and crun or runc\n");

const lacking = missingPackages();
const possibleNetwork = possible && lacking.length === 0;
if (!possibleNetwork) process.stderr.write(`the benchmark of the network is not tried; missing packages: ${lacking.join(", ")}\n`);

function leftovers(): string[] {
  const mounts = readFileSync("/proc/self/mountinfo", "utf8").split("\n").filter((line) => line.includes("/sand-boxer-bench-")); // prettier-ignore
  return [...mounts, ...readdirSync(tmpdir()).filter((name) => /^sand-boxer-(bench|raw|far)-/.test(name))];
}

describe.runIf(possible)("the benchmark at its smallest", () => {
  // Burst and idle are what lifecycle and exec are, in other numbers.
  it.each(["lifecycle", "exec", "live", "files", "command", "sync", "e2b", "router", ...(possibleNetwork ? ["network"] : [])])(
    "measures %s beside the raw runtime and leaves nothing",
    // The network's has a part for each of its lines.
    { timeout: 300_000 },
    async (name) => {
      const before = leftovers();
      const rows = (await CASES[name]?.({ scale: TINY, signal: new AbortController().signal, say: () => undefined })) ?? [];
      expect(rows.length).toBeGreaterThan(0);
      for (const row of rows) {
        expect(row).toMatchObject({ case: name });
        expect(row.ours.samples).toBeGreaterThan(0);
        expect(row.ours.median).toBeGreaterThan(0);
        if (row.target !== undefined) expect(Number.isFinite(row.target.value)).toBe(true);
      }
      expect(rows.some(({ peer }) => peer !== undefined && peer.figure.median > 0)).toBe(true);
      expect(leftovers().filter((path) => !before.includes(path))).toEqual([]);
    },
  );

  it("stops when it is told to, and leaves nothing", async () => {
    const before = leftovers();
    const stop = new AbortController();
    const running = CASES["exec"]?.({ scale: { ...TINY, execs: 100_000 }, signal: stop.signal, say: () => undefined });
    setTimeout(() => stop.abort(new Error("told to")), 1500);
    await expect(running).rejects.toThrow("told to");
    expect(leftovers().filter((path) => !before.includes(path))).toEqual([]);
  });
});

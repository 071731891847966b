import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Rolling } from "../../../src/engine/routing/rolling.ts";
import { openBench, openBenchIn, OWNER, run } from "../bench.ts";
import { mkdtempSync, rmSync, chmodSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const HOUR = 3600_000;

describe("rolling measurements", () => {
  it("give percentiles within a tenth of the truth", () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: 0.2, max: 60_000, noNaN: true }), { minLength: 1, maxLength: 300 }), (values) => {
        const rolling = new Rolling(() => 0);
        for (const value of values) rolling.record("b", "cold_start", value);
        const sorted = values.toSorted((a, b) => a - b);
        const found = rolling.percentiles("b", "cold_start");
        for (const [share, name] of [[0.5, "p50"], [0.9, "p90"], [0.95, "p95"]] as const) {
          const truth = sorted[Math.max(0, Math.ceil(values.length * share - 1e-9) - 1)] ?? 0;
          const given = found?.[name] ?? 0;
          expect(given).toBeGreaterThanOrEqual(truth / 1.11 - 0.02);
          expect(given).toBeLessThanOrEqual(truth * 1.11 + 0.02);
        }
        expect(found?.samples).toBe(values.length);
      }),
    ); // prettier-ignore
  });

  it("follow what is measured now, and know nothing of what is a day old", () => {
    let now = 1_000_000 * HOUR;
    const rolling = new Rolling(() => now);
    for (let i = 0; i < 100; i++) rolling.record("b", "create", 1000);
    now += 6 * HOUR;
    for (let i = 0; i < 10; i++) rolling.record("b", "create", 10);
    expect(rolling.percentiles("b", "create")?.p50).toBeLessThan(12);
    now += 24 * HOUR;
    expect(rolling.percentiles("b", "create")).toBeNull();
  });

  it("are the same after they were saved and read again, in slices, by another process", () => {
    let now = 1_000_000 * HOUR + 1;
    const [one, other] = [new Rolling(() => now), new Rolling(() => now)];
    for (let i = 0; i < 50; i++) {
      one.record("b", "create", 5 + i);
      now += 60_000;
    }
    const kept = one.takeUnsaved();
    expect(one.takeUnsaved()).toEqual([]);
    other.record("b", "create", 20);
    other.replace(kept);
    one.record("b", "create", 20);
    const [mine, theirs] = [one.percentiles("b", "create"), other.percentiles("b", "create")];
    expect(theirs?.p50).toBeCloseTo(mine?.p50 ?? 0, -0.5);
    expect(theirs?.samples).toBeCloseTo(mine?.samples ?? 0, 0);
  });
});

describe("a server's measurements", () => {
  it("outlive it, and rank backends by what they took", async () => {
    const directory = mkdtempSync(join(tmpdir(), "sbx-rolling-"));
    chmodSync(directory, 0o711);
    try {
      const options = { fakes: { slow: { latency_ms: { create: 60 } }, fast: { latency_ms: { create: 5, exec: 40 } } } };
      const first = await openBenchIn(directory, options);
      for (const only of [["slow"], ["fast"]]) {
        for (let i = 0; i < 3; i++) {
          const { sandbox } = await first.engine.create(OWNER, { routing: { only } }, {});
          await run(first.engine, OWNER, sandbox.id, "true");
        }
      }
      await first.engine.close();
      const second = await first.second();
      const [slow, fast] = await second.backends(OWNER);
      expect(slow?.latency_ms["cold_start"]?.p50).toBeGreaterThan(54);
      expect(fast?.latency_ms["cold_start"]?.p50).toBeLessThan(slow?.latency_ms["cold_start"]?.p50 ?? 0);
      const choice = async (routing: object) => (await second.route(OWNER, { routing })).chosen;
      expect(await choice({ sort: "cold_start" })).toBe("fast");
      expect(await choice({ sort: "exec_latency" })).toBe("slow");
      expect(await choice({ preferred_max_cold_start: { p50: 30 } })).toBe("fast");
      expect(await choice({})).toBe("slow");
      expect((await second.create(OWNER, { profile: "python:warm" }, {})).sandbox.backend).toBe("fast");
      await first[Symbol.asyncDispose]();
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });

  it("are removed from the ledger when they are a day old", async () => {
    await using bench = await openBench();
    await bench.engine.create(OWNER, {}, {});
    await bench.engine.sweep();
    const rows = () => bench.ledger.db.selectFrom("measurements").selectAll().execute();
    expect((await rows()).map(({ verb }) => verb)).toEqual(expect.arrayContaining(["cold_start", "create"]));
    bench.clock.pass(25 * HOUR);
    await bench.engine.sweep();
    expect((await rows()).filter(({ verb }) => verb === "cold_start")).toEqual([]);
  });
});

import { describe, expect, it } from "vitest";
import { Pace } from "../../../src/engine/routing/pace.ts";
import { systemClock } from "../../../src/engine/clock.ts";
import { openBench, OWNER } from "../bench.ts";

const clock = { clock: systemClock() };

describe("a backend's pace", () => {
  it("lets a second's worth go at once and the rest at its rate", () => {
    let now = 0;
    const pace = new Pace(() => 4, () => now); // prettier-ignore
    expect([1, 2, 3, 4, 5, 6].map(() => pace.take())).toEqual([0, 0, 0, 0, 250, 500]);
    now = 10_000;
    expect(pace.waitMs).toBe(0);
  });

  it("keeps back while the backend wants none, and gives a turn back that was not used", () => {
    let now = 0;
    const pace = new Pace(() => 1, () => now); // prettier-ignore
    pace.hold(3000);
    expect(pace.waitMs).toBe(3000);
    now = 3000;
    expect(pace.take()).toBe(0);
    expect(pace.waitMs).toBe(1000);
    pace.giveBack();
    expect(pace.waitMs).toBe(0);
  });
});

describe("creates that come faster than a backend's rate", () => {
  it("wait for their turn within the bound, and none is refused by the backend", async () => {
    await using bench = await openBench({ fakes: { fake: { limits: { create_rate_per_s: 10 } } }, engine: clock });
    const began = performance.now();
    const made = await Promise.all(Array.from({ length: 15 }, () => bench.engine.create(OWNER, {}, {})));
    expect(made.every(({ sandbox }) => sandbox.state === "ready")).toBe(true);
    expect(performance.now() - began).toBeGreaterThan(400);
  });

  it("spill over to the next backend where they would wait too long, and the route says so", async () => {
    await using bench = await openBench({
      fakes: { slow: { limits: { create_rate_per_s: 2 } }, wide: {} },
      config: { routing: { max_queue_wait: 0.4 } },
      engine: clock,
    });
    const made = await Promise.all(Array.from({ length: 8 }, () => bench.engine.create(OWNER, {}, {})));
    const at = (name: string) => made.filter(({ sandbox }) => sandbox.backend === name);
    expect(at("slow").length).toBeGreaterThanOrEqual(2);
    expect(at("slow").length).toBeLessThanOrEqual(3);
    expect(at("wide")).toHaveLength(8 - at("slow").length);
    expect(at("wide").map(({ sandbox }) => sandbox.generation)).toEqual(at("wide").map(() => 1));
    expect(at("wide")[0]?.sandbox.route).toMatchObject({
      chosen: "wide",
      reason: expect.stringMatching(/slow has a queue|price not known/),
    });
    expect(made.every(({ sandbox }) => sandbox.route.chosen === sandbox.backend)).toBe(true);
  });

  it("are refused with the time to wait where they would wait longer than a create may take", async () => {
    await using bench = await openBench({ fakes: { fake: { limits: { create_rate_per_s: 0.1 } } }, engine: clock });
    await bench.engine.create(OWNER, {}, {});
    await expect(bench.engine.create(OWNER, { ready_timeout: 1 }, {})).rejects.toMatchObject({
      code: "backend_rate_limited",
      details: { retry_after: 10 },
    });
    expect((await bench.engine.list(OWNER, { limit: 5 })).data).toHaveLength(1);
  });

  it("keep away from a backend for as long as it asked to", async () => {
    await using bench = await openBench({ fakes: { one: {}, two: {} }, config: { routing: { max_queue_wait: 0.1 } } });
    bench.control("one").addFault({ on: "create", kind: "rate_limit", times: 1 });
    expect((await bench.engine.create(OWNER, {}, {})).sandbox).toMatchObject({ backend: "two", generation: 2 });
    expect((await bench.engine.create(OWNER, {}, {})).sandbox).toMatchObject({ backend: "two", generation: 1 });
    bench.clock.pass(1000);
    expect((await bench.engine.create(OWNER, {}, {})).sandbox).toMatchObject({ backend: "one" });
  });
});

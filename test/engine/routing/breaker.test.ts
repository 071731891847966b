import { describe, expect, it } from "vitest";
import { SandboxerError } from "../../../src/contract/index.ts";
import { Breaker } from "../../../src/engine/routing/breaker.ts";
import { ADMIN, openBench, OWNER } from "../bench.ts";

function at(): { breaker: Breaker; pass: (ms: number) => void; fail: () => void } {
  let now = 0;
  const breaker = new Breaker(() => now);
  return { breaker, pass: (ms) => void (now += ms), fail: () => breaker.failed(breaker.admit() ?? { probe: false }) };
}

describe("a breaker", () => {
  it("opens after three failures in two minutes, and not where a success or the time stands between them", () => {
    const one = at();
    one.fail();
    one.fail();
    one.breaker.succeeded(one.breaker.admit() ?? { probe: false });
    one.fail();
    one.fail();
    one.pass(121_000);
    one.fail();
    expect(one.breaker.state).toBe("closed");
    one.fail();
    one.fail();
    expect(one.breaker.state).toBe("open");
    expect(one.breaker.admit()).toBeUndefined();
  });

  it("lets one create try after a while, closes when that succeeds, and waits twice as long when it fails", () => {
    const { breaker, pass, fail } = at();
    for (let i = 0; i < 3; i++) fail();
    expect(breaker.retryAfterMs).toBe(15_000);
    pass(15_000);
    expect(breaker.state).toBe("half_open");
    const probe = breaker.admit();
    expect([probe, breaker.state, breaker.admit()]).toEqual([{ probe: true }, "probing", undefined]);
    breaker.failed(probe ?? { probe: true });
    expect([breaker.state, breaker.retryAfterMs]).toEqual(["open", 30_000]);
    pass(30_000);
    const again = breaker.admit() ?? { probe: false };
    breaker.released(again);
    expect(breaker.state).toBe("half_open");
    breaker.succeeded(breaker.admit() ?? { probe: false });
    expect([breaker.state, breaker.failures]).toEqual(["closed", 0]);
  });

  it("is not moved by creates that began before it opened", () => {
    const { breaker, fail } = at();
    const early = [breaker.admit(), breaker.admit()];
    for (let i = 0; i < 3; i++) fail();
    breaker.succeeded(early[0] ?? { probe: false });
    breaker.failed(early[1] ?? { probe: false });
    expect([breaker.state, breaker.retryAfterMs]).toEqual(["open", 15_000]);
  });
});

const FAIL = { on: "create", kind: "fail" } as const;

describe("creates over a backend that fails", () => {
  it("leave it alone after three failures, and come back to it with one at a time", async () => {
    await using bench = await openBench({ fakes: { one: {}, two: {} } });
    bench.control("one").addFault({ ...FAIL, times: 3 });
    const made = async () => (await bench.engine.create(OWNER, { routing: { order: ["one"] } }, {})).sandbox;
    for (let i = 0; i < 3; i++) expect(await made()).toMatchObject({ backend: "two", generation: 2 });
    const spared = await made();
    expect(spared).toMatchObject({ backend: "two", generation: 1 });
    expect(spared.route.candidates.find(({ backend }) => backend === "one")).toMatchObject({ verdict: "rejected", breaker: "open" });
    expect((await bench.engine.backends(OWNER))[0]).toMatchObject({ breaker: { state: "open", failures: 3 }, availability: 0 });
    bench.clock.pass(15_000);
    const both = await Promise.all([made(), made()]);
    expect(new Set(both.map(({ backend }) => backend))).toEqual(new Set(["one", "two"]));
    expect(await made()).toMatchObject({ backend: "one" });
    expect((await bench.engine.backends(OWNER))[0]).toMatchObject({ breaker: { state: "closed", retry_after_ms: null } });
  });

  it("are refused with the time to wait where there is no other", async () => {
    await using bench = await openBench();
    bench.control().addFault(FAIL);
    for (let i = 0; i < 3; i++) await expect(bench.engine.create(OWNER, {}, {})).rejects.toMatchObject({ code: "backend_unavailable" });
    const refused: unknown = await bench.engine.create(OWNER, {}, {}).catch((thrown: unknown) => thrown);
    expect(refused).toBeInstanceOf(SandboxerError);
    expect(refused).toMatchObject({ code: "backend_unavailable", retryable: true, details: { retry_after: 15 } });
    expect((await bench.engine.list(ADMIN, { limit: 9, allTenants: true })).data).toHaveLength(3);
  });

  it.each([
    ["an error that would come again", { on: "create", kind: "auth" } as const],
    ["a create whose answer was lost", { on: "create", kind: "ambiguous" } as const],
  ])("do not count %s", async (_what, fault) => {
    await using bench = await openBench();
    bench.control().addFault(fault);
    for (let i = 0; i < 4; i++) await bench.engine.create(OWNER, {}, {}).catch(() => undefined);
    expect((await bench.engine.backends(OWNER))[0]).toMatchObject({ breaker: { state: "closed", failures: 0 } });
  });

  it("do not count what its caller gave up, nor a setup of the profile that failed", async () => {
    await using bench = await openBench({ fakes: { fake: { latency_ms: { create: 10_000 } } } });
    for (let i = 0; i < 4; i++)
      await expect(bench.engine.create(OWNER, {}, { signal: AbortSignal.timeout(5) })).rejects.toBeInstanceOf(SandboxerError);
    expect((await bench.engine.backends(OWNER))[0]).toMatchObject({ breaker: { state: "closed", failures: 0 }, availability: null });
    await using other = await openBench();
    await other.engine.profiles.apply(OWNER, { kind: "profile", name: "bad", version: 1, setup: ["false"] });
    for (let i = 0; i < 4; i++) await other.engine.create(OWNER, { profile: "bad" }, {}).catch(() => undefined);
    expect((await other.engine.backends(OWNER))[0]).toMatchObject({ breaker: { state: "closed", failures: 0 }, availability: 1 });
  });
});

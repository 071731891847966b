import { describe, expect, it } from "vitest";
import { openBench, OWNER, trail } from "./bench.ts";

const TWO = { fakes: { one: {}, two: {} } };

describe("falling back to another backend", () => {
  it("happens on a retryable error, and the route tells of it", async () => {
    await using bench = await openBench(TWO);
    bench.control("one").addFault({ on: "create", kind: "rate_limit" });
    const { sandbox } = await bench.engine.create(OWNER, {}, {});
    expect(sandbox).toMatchObject({ state: "ready", backend: "two", generation: 2, route: { chosen: "two" } });
    expect(sandbox.route.candidates).toMatchObject([
      { backend: "one", verdict: "failed" },
      { backend: "two", verdict: "chosen" },
    ]);
    expect(await trail(bench.engine, sandbox.id)).toEqual(["sandbox.provisioning", "sandbox.rerouted", "sandbox.ready"]);
    expect([bench.control("one").ids(), bench.control("two").ids()]).toEqual([[], [sandbox.id]]);
  });

  it("follows the order that is asked for", async () => {
    await using bench = await openBench(TWO);
    expect((await bench.engine.create(OWNER, { routing: { order: ["two"] } }, {})).sandbox.backend).toBe("two");
  });

  it.each([
    ["an error that would come again", { on: "create", kind: "auth" } as const, {}, "backend_auth"],
    [
      "fallbacks that are not allowed",
      { on: "create", kind: "fail" } as const,
      { routing: { allow_fallbacks: false } },
      "backend_unavailable",
    ],
  ])("does not happen on %s", async (_what, fault, request, code) => {
    await using bench = await openBench(TWO);
    bench.control("one").addFault(fault);
    await expect(bench.engine.create(OWNER, request, {})).rejects.toMatchObject({ code });
    expect(bench.control("two").ids()).toEqual([]);
    expect((await bench.engine.list(OWNER, { limit: 5 })).data).toMatchObject([{ state: "failed", error: { code } }]);
  });

  it("never happens after an ambiguous create: the sandbox is stopping until a sweep has found and ended it", async () => {
    await using bench = await openBench(TWO);
    bench.control("one").addFault({ on: "create", kind: "ambiguous" });
    await expect(bench.engine.create(OWNER, {}, {})).rejects.toMatchObject({ code: "ambiguous_create" });
    const [stopping] = (await bench.engine.list(OWNER, { limit: 5 })).data;
    expect(stopping).toMatchObject({ state: "stopping", desired: "terminated", backend: "one" });
    expect([bench.control("one").ids().length, bench.control("two").ids().length]).toEqual([1, 0]);
    expect((await bench.engine.sweep()).errors).toEqual([]);
    expect(bench.control("one").ids()).toEqual([]);
    expect((await bench.engine.list(OWNER, { limit: 5 })).data).toMatchObject([{ state: "failed", error: { code: "ambiguous_create" } }]);
  });

  it("leaves a failed create stopping where its unwind is not confirmed, and the sweep ends it", async () => {
    await using bench = await openBench();
    await bench.engine.profiles.apply(OWNER, { kind: "profile", name: "bad", version: 1, setup: ["false"] });
    bench.control().addFault({ on: "destroy", kind: "fail" });
    await expect(bench.engine.create(OWNER, { profile: "bad" }, {})).rejects.toMatchObject({ code: "setup_failed" });
    expect((await bench.engine.list(OWNER, { limit: 5 })).data).toMatchObject([{ state: "stopping", ended_at: null }]);
    expect((await bench.engine.sweep()).errors).toMatchObject([{ code: "backend_unavailable" }]);
    bench.control().clearFaults();
    expect((await bench.engine.sweep()).errors).toEqual([]);
    expect((await bench.engine.list(OWNER, { limit: 5 })).data).toMatchObject([{ state: "failed" }]);
    expect(bench.control().ids()).toEqual([]);
  });
});

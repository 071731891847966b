import { describe, expect, it } from "vitest";
import { openBench, OWNER, trail } from "../bench.ts";

const CHEAP = { vcpu_hour: 0.05, gb_hour: 0.01 };
const DEAR = { vcpu_hour: 0.2, gb_hour: 0.02, cpu_basis: "active" as const };
const TWO = {
  fakes: { here: { region: "eu-west-1", self_hosted: true }, there: {}, unknown: {} },
  backends: { here: { price: DEAR }, there: { price: CHEAP, region: "us-east" } },
};

describe("what a request demands of a backend", () => {
  it.each([
    ["the cheapest unless something else is asked for", {}, "there"],
    ["a region", { data_residency: "eu" }, "here"],
    ["a finer region than it is in", { data_residency: "eu-west-2" }, null],
    ["machines of the operator's own", { self_hosted_only: true }, "here"],
    ["a price an hour", { max_price_per_hour: 0.06, order: ["here"] }, "there"],
    ["a price that nobody has", { max_price_per_hour: 0.01 }, null],
    ["a price an hour where the only one left has none", { max_price_per_hour: 9, only: ["unknown"] }, null],
    ["a total over its whole life", { max_total_cost: 0.5, only: ["here", "there"] }, "there"],
    ["a low duty cycle", { sort: "price" as const, duty_cycle: 0.01 }, "here"],
  ])("decides: %s", async (_what, routing, expected) => {
    await using bench = await openBench(TWO);
    const decision = await bench.engine.route(OWNER, { routing });
    expect(decision.chosen).toBe(expected);
    expect(decision.candidates.map(({ backend }) => backend).toSorted()).toEqual(["here", "there", "unknown"]);
  });

  it("is refused by name where no backend is within it, and nothing is made", async () => {
    await using bench = await openBench(TWO);
    await expect(bench.engine.create(OWNER, { routing: { max_price_per_hour: 0.01 } }, {})).rejects.toMatchObject({
      code: "capability_unsupported",
      details: {
        issues: [
          { path: "routing.max_price_per_hour", message: "here: it may cost $0.21 an hour with its CPU busy, and routing.max_price_per_hour is $0.01" },
          { path: "routing.max_price_per_hour" },
          { path: "routing.max_price_per_hour", message: expect.stringContaining("not known") },
        ],
      },
    }); // prettier-ignore
    expect((await bench.engine.list(OWNER, { limit: 5 })).data).toEqual([]);
  });

  it("never reaches beyond the operator's floor", async () => {
    const floor = { routing: { data_residency: "eu", max_price_per_hour: 0.3 } };
    await using bench = await openBench({ ...TWO, config: { floor } });
    const { sandbox } = await bench.engine.create(OWNER, { routing: { order: ["there"], max_price_per_hour: 5 } }, {});
    expect(sandbox).toMatchObject({ backend: "here", narrowed: ["routing.max_price_per_hour"] });
    expect((await bench.engine.route(OWNER, { routing: { data_residency: "us" } })).chosen).toBeNull();
  });

  it("is kept with the sandbox: what each would cost, as far as it is known", async () => {
    await using bench = await openBench(TWO);
    const { sandbox } = await bench.engine.create(OWNER, { profile: "python:floor", routing: { duty_cycle: 0.5 } }, {});
    expect(sandbox.route).toMatchObject({ chosen: "there", sort: "price", duty_cycle: 0.5, profile: "python@1" });
    expect((await bench.engine.get(OWNER, sandbox.id)).route).toEqual(sandbox.route);
    const costs = Object.fromEntries(sandbox.route.candidates.map(({ backend, cost }) => [backend, cost]));
    expect(costs["there"]).toMatchObject({ per_hour_micro_usd: 60_000, expected_micro_usd: 30_000, at_most_micro_usd: 480_000 });
    expect(costs["here"]).toMatchObject({ per_hour_micro_usd: 120_000, expected_micro_usd: 60_000, at_most_micro_usd: 1_760_000 });
    expect(costs["unknown"]).toBeNull();
  });
});

describe("falling back to another profile", () => {
  const wide = {
    kind: "profile",
    name: "wide",
    version: 3,
    isolation_level: { min: "gvisor" },
    routing: { profiles: ["narrow", "python"] },
  };
  const narrow = { kind: "profile", name: "narrow", version: 1, isolation_level: { min: "container" }, resources: { memory: "256MiB" } };

  it("happens where no backend can take the first, and each is a whole plan of its own", async () => {
    await using bench = await openBench();
    for (const document of [wide, narrow]) await bench.engine.profiles.apply(OWNER, document);
    const { sandbox } = await bench.engine.create(OWNER, { profile: "wide" }, {});
    expect(sandbox).toMatchObject({
      profile: { name: "narrow", version: 1 },
      isolation: { min: "container" },
      resources: { memory_bytes: 256 * 2 ** 20 },
      route: { profile: "narrow@1", instead_of: [{ profile: "wide@3", code: "isolation_unavailable" }] },
    });
    expect(await bench.engine.route(OWNER, { profile: "wide" })).toMatchObject({ chosen: "fake", profile: "narrow@1" });
  });

  it("never goes below what the request itself demands", async () => {
    await using bench = await openBench();
    for (const document of [wide, narrow]) await bench.engine.profiles.apply(OWNER, document);
    const demanding = { profile: "wide", isolation_level: { min: "gvisor" as const } };
    await expect(bench.engine.create(OWNER, demanding, {})).rejects.toMatchObject({ code: "isolation_unavailable" });
    expect(await bench.engine.route(OWNER, demanding)).toMatchObject({ chosen: null, profile: "wide@3" });
    await expect(bench.engine.create(OWNER, { profile: "wide", routing: { allow_fallbacks: false } }, {})).rejects.toMatchObject({
      code: "isolation_unavailable",
    });
  });

  it("happens after every backend of the first failed for a while; its row tells so, and the key goes with it", async () => {
    await using bench = await openBench({ fakes: { strong: { isolation: "gvisor" }, weak: {} } });
    for (const document of [wide, narrow]) await bench.engine.profiles.apply(OWNER, document);
    bench.control("strong").addFault({ on: "create", kind: "fail" });
    const made = await bench.engine.create(OWNER, { profile: "wide" }, { idempotencyKey: "k" });
    expect(made.sandbox).toMatchObject({ backend: "weak", profile: { name: "narrow" }, route: { instead_of: [{ profile: "wide@3", code: "backend_unavailable" }] } });
    const again = await bench.engine.create(OWNER, { profile: "wide" }, { idempotencyKey: "k" });
    expect(again).toMatchObject({ replayed: true, sandbox: { id: made.sandbox.id } });
    const rows = (await bench.engine.list(OWNER, { limit: 5 })).data;
    expect(Object.fromEntries(rows.map(({ profile, state }) => [profile.name, state]))).toEqual({ narrow: "ready", wide: "failed" });
    expect(await trail(bench.engine, rows.find(({ profile }) => profile.name === "wide")?.id ?? "")).toEqual(["sandbox.provisioning", "sandbox.failed"]);
  }); // prettier-ignore

  it("does not happen after an ambiguous create, nor for a quota", async () => {
    await using bench = await openBench({ fakes: { strong: { isolation: "gvisor" }, weak: {} }, config: { limits: { max_sandboxes: 1 } } });
    for (const document of [wide, narrow]) await bench.engine.profiles.apply(OWNER, document);
    bench.control("strong").addFault({ on: "create", kind: "ambiguous", times: 1 });
    await expect(bench.engine.create(OWNER, { profile: "wide" }, {})).rejects.toMatchObject({ code: "ambiguous_create" });
    await expect(bench.engine.create(OWNER, { profile: "wide" }, {})).rejects.toMatchObject({ code: "quota_exceeded" });
    expect(bench.control("weak").ids()).toEqual([]);
  });

  it("says of every one why it could not be, where none could", async () => {
    await using bench = await openBench({ fakes: { fake: { isolation: "process" } } });
    for (const document of [wide, narrow]) await bench.engine.profiles.apply(OWNER, document);
    await expect(bench.engine.create(OWNER, { profile: "wide" }, {})).rejects.toThrow(
      /before it, wide@3 \(isolation_unavailable: .*narrow@1/,
    );
  });
});

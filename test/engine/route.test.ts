import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ISOLATION_LEVELS, meetsIsolation, type Price, type Traits } from "../../src/contract/index.ts";
import { route } from "../../src/engine/route.ts";
import { quote } from "../../src/engine/routing/quote.ts";
import { liesIn } from "../../src/engine/routing/refuse.ts";
import type { RouteBackend, RouteRequest } from "../../src/engine/routing/snapshot.ts";

const NAMES = ["a", "b", "c", "d"];
const MAX_WAIT = 2000;
const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });
const capability = fc.constantFrom("fs.watch", "exec.pty", "net.block_all", "snapshot.disk" as const);
const traits: fc.Arbitrary<Traits> = fc.record(
  {
    isolation: fc.subarray([...ISOLATION_LEVELS]).map((levels) => levels.map((level) => ({ level, runtime: "r", notes: [] }))),
    capabilities: fc.uniqueArray(capability).map((list) => Object.fromEntries(list.map((name) => [name, "native" as const]))),
    limits: fc.record({ cpu: fc.record({ max: fc.integer({ min: 1, max: 8 }) }) }, { requiredKeys: [] }),
    unavailable: fc.constant("down"),
  },
  { requiredKeys: ["isolation", "capabilities", "limits"] },
);
const able: fc.Arbitrary<Traits> = fc.constant({
  isolation: [{ level: "microvm", runtime: "r", notes: [] }],
  capabilities: { "fs.watch": "native", "exec.pty": "native", "net.block_all": "native" },
  limits: {},
});
const price: fc.Arbitrary<Price> = fc.record({
  vcpu_hour: fc.constantFrom(0, 0.05, 0.128),
  gb_hour: fc.constantFrom(0, 0.01),
  egress_gb: fc.constantFrom(0, 0.1),
  cpu_basis: fc.constantFrom("allocated" as const, "active" as const),
  effective: fc.constant("2026"),
  source: fc.constant("test"),
  confidence: fc.constant("high" as const),
});
const percentiles = fc.record({ p50: fc.integer({ min: 1, max: 500 }), more: fc.integer({ min: 0, max: 500 }) }).map(({ p50, more }) => ({
  p50, p90: p50 + more, p95: p50 + more, samples: 10,
})); // prettier-ignore
const backend = (place: number): fc.Arbitrary<RouteBackend> =>
  fc.record({
    name: fc.constant(NAMES[place] ?? ""),
    place: fc.constant(place),
    traits: fc.oneof(traits, able, able),
    region: optional(fc.constantFrom("eu", "eu-west-1", "europe", "us-east")),
    selfHosted: optional(fc.boolean()),
    price: fc.option(price),
    coldStart: fc.option(percentiles),
    execLatency: fc.option(percentiles),
    availability: fc.option(fc.record({ share: fc.constantFrom(0, 0.5, 0.95, 1), samples: fc.constantFrom(0.5, 20, 500) })),
    gate: fc.record({
      breaker: fc.constantFrom("closed", "closed", "closed", "open", "half_open", "probing" as const),
      retryAfterMs: fc.integer({ min: 0, max: 10_000 }),
      queueMs: fc.constantFrom(0, 100, 5000),
    }),
  });
const backends = fc.tuple(backend(0), backend(1), backend(2), backend(3)).chain((all) => fc.subarray(all));
const request: fc.Arbitrary<RouteRequest> = fc.record({
  routing: fc.record({
    order: fc.subarray(NAMES),
    only: optional(fc.subarray(NAMES, { minLength: 2 })),
    ignore: fc.subarray(NAMES, { maxLength: 1 }),
    allowFallbacks: fc.boolean(),
    requireCapabilities: fc.constant([]),
    sort: optional(fc.constantFrom("price", "cold_start", "exec_latency", "availability" as const)),
    maxPricePerHour: optional(fc.integer({ min: 0, max: 200_000 })),
    maxTotalCost: optional(fc.integer({ min: 0, max: 2_000_000 })),
    preferredColdStart: fc.record({ p50: fc.constantFrom(Infinity, 100), p90: fc.constantFrom(Infinity, 300) }),
    dataResidency: fc.subarray(["eu", "us"], { maxLength: 1 }),
    selfHostedOnly: fc.boolean(),
    dutyCycle: fc.constantFrom(1, 0.5, 0.05),
    profiles: fc.constant([]),
  }),
  requirements: fc.uniqueArray(capability, { maxLength: 2 }).map((list) => list.map((one) => ({ capability: one, field: `field.${one}` }))),
  isolationMin: fc.constantFrom(...ISOLATION_LEVELS),
  resources: fc.record({
    cpu: fc.integer({ min: 1, max: 8 }),
    memory_bytes: fc.constant(1 << 30),
    disk_bytes: fc.constant(1 << 30),
    inodes: fc.constant(1),
    pids: fc.constant(1),
  }),
  maxLife: fc.constant(8 * 3600),
  ttl: fc.constant(3600),
  egressBytes: fc.constantFrom(0, 1e9, null),
});
const rank = (asked: RouteRequest, list: readonly RouteBackend[]) => route(asked, list, MAX_WAIT);
const named = (list: readonly RouteBackend[], name: string) => list.find((backend) => backend.name === name) as RouteBackend;

describe("routing", () => {
  it("never chooses a backend below the floor, outside only, ignored, unavailable, too small, or without a capability", () => {
    fc.assert(
      fc.property(request, backends, (asked, list) => {
        for (const name of rank(asked, list).ranked) {
          const { traits } = named(list, name);
          expect(traits.isolation.some(({ level }) => meetsIsolation(level, asked.isolationMin))).toBe(true);
          expect(asked.routing.only?.includes(name) ?? true).toBe(true);
          expect(asked.routing.ignore).not.toContain(name);
          expect(traits.unavailable).toBeUndefined();
          expect(asked.resources.cpu).toBeLessThanOrEqual(traits.limits.cpu?.max ?? Infinity);
          for (const { capability } of asked.requirements) {
            expect(traits.capabilities[capability]).toBeDefined();
            expect(capability).not.toBe("snapshot.disk");
          }
        }
      }),
    );
  });

  it("never chooses one that costs more than is allowed or an unknown amount, lies elsewhere, is not known to be ours, or is left alone", () => {
    fc.assert(
      fc.property(request, backends, (asked, list) => {
        const { routing } = asked;
        for (const name of rank(asked, list).ranked) {
          const { price, region, selfHosted, gate } = named(list, name);
          const costs = quote(asked, price);
          if (routing.maxPricePerHour !== undefined) expect(costs?.largestPerHour ?? Infinity).toBeLessThanOrEqual(routing.maxPricePerHour);
          if (routing.maxTotalCost !== undefined) expect(costs?.atMost ?? Infinity).toBeLessThanOrEqual(routing.maxTotalCost);
          for (const wanted of routing.dataResidency) expect(region !== undefined && liesIn(region, wanted)).toBe(true);
          if (routing.selfHostedOnly) expect(selfHosted).toBe(true);
          expect(["closed", "half_open"]).toContain(gate.breaker);
        }
      }),
    );
  });

  it("is stable, in whatever order the backends are given, and gives every backend one verdict with a reason", () => {
    fc.assert(
      fc.property(request, backends.chain((list) => fc.tuple(fc.constant(list), fc.shuffledSubarray(list, { minLength: list.length }))), (asked, [list, shuffled]) => {
        const first = rank(asked, list);
        expect(rank(asked, list)).toEqual(first);
        expect(rank(asked, shuffled)).toEqual(first);
        const { candidates, chosen, reason } = first.route;
        for (const { name } of list) expect(candidates.filter((one) => one.backend === name)).toHaveLength(1);
        for (const candidate of candidates) expect(candidate.reason).not.toBe("");
        expect(reason).not.toBe("");
        expect(candidates.filter(({ verdict }) => verdict === "chosen").map(({ backend }) => backend)).toEqual(chosen === null ? [] : [chosen]);
        expect(first.ranked[0] ?? null).toBe(chosen);
      }),
    ); // prettier-ignore
  });

  it("tries the order first, and nothing but the first choice where fallbacks are not allowed", () => {
    fc.assert(
      fc.property(request, backends, (asked, list) => {
        const calm = list.map((one) => ({ ...one, gate: { ...one.gate, queueMs: 0 } }));
        const { ranked } = rank(asked, calm);
        const places = ranked.map((name) => asked.routing.order.indexOf(name)).map((place) => (place < 0 ? NAMES.length : place));
        expect(places).toEqual(places.toSorted((a, b) => a - b));
        if (!asked.routing.allowFallbacks) expect(ranked.length).toBeLessThanOrEqual(1);
      }),
    );
  });

  it("is not changed by what a rejected backend is like, nor by one more that is rejected", () => {
    fc.assert(
      fc.property(request, backends, (asked, list) => {
        const { ranked, refused } = rank(asked, list);
        const without = list.filter(({ name }) => !refused.some(({ backend }) => backend === name));
        expect(rank(asked, without).ranked).toEqual(ranked);
      }),
    );
  });

  it("puts the cheaper one first by price, where nothing else is asked for, and unknown prices last", () => {
    fc.assert(
      fc.property(request, backends, (asked, list) => {
        const any = { ...asked.routing, order: [], sort: "price" as const, preferredColdStart: { p50: Infinity, p90: Infinity }, allowFallbacks: true };
        const calm = list.map((one) => ({ ...one, gate: { ...one.gate, queueMs: 0 } }));
        const prices = rank({ ...asked, routing: any }, calm).ranked.map((name) => quote(asked, named(list, name).price)?.cost.per_hour_micro_usd ?? Infinity);
        expect(prices).toEqual(prices.toSorted((a, b) => (a < b ? -1 : a > b ? 1 : 0)));
      }),
    ); // prettier-ignore
  });
});

describe("the ranking of two", () => {
  const two = (one: Partial<RouteBackend>, other: Partial<RouteBackend>): RouteBackend[] => {
    const base = {
      traits: fc.sample(able, 1)[0] as Traits, region: undefined, selfHosted: undefined, price: null,
      coldStart: null, execLatency: null, availability: null, gate: { breaker: "closed" as const, retryAfterMs: 0, queueMs: 0 },
    }; // prettier-ignore
    return [{ ...base, name: "one", place: 0, ...one }, { ...base, name: "two", place: 1, ...other }]; // prettier-ignore
  };
  const asked = (routing: Partial<RouteRequest["routing"]> = {}): RouteRequest => ({
    routing: {
      order: [], only: undefined, ignore: [], allowFallbacks: true, requireCapabilities: [], sort: undefined, maxPricePerHour: undefined,
      maxTotalCost: undefined, preferredColdStart: { p50: Infinity, p90: Infinity }, dataResidency: [], selfHostedOnly: false, dutyCycle: 1,
      profiles: [], ...routing,
    },
    requirements: [], isolationMin: "container", maxLife: 3600, ttl: 3600, egressBytes: 0,
    resources: { cpu: 1, memory_bytes: 1 << 30, disk_bytes: 1 << 30, inodes: 1, pids: 1 },
  }); // prettier-ignore
  const terms = { gb_hour: 0.01, effective: "2026", source: "test", confidence: "high" as const };
  const allocated: Price = { ...terms, vcpu_hour: 0.05, cpu_basis: "allocated" };
  const active: Price = { ...terms, vcpu_hour: 0.12, cpu_basis: "active" };
  const ms = (p50: number, p90 = p50) => ({ p50, p90, p95: p90, samples: 5 });
  const chosen = (routing: Partial<RouteRequest["routing"]>, list: RouteBackend[]) => rank(asked(routing), list).route.chosen;

  it.each<[string, Partial<RouteRequest["routing"]>, Partial<RouteBackend>, Partial<RouteBackend>, string]>([
    ["by the configuration where nothing is known", {}, {}, {}, "one"],
    ["by price where both are healthy", {}, { price: active }, { price: allocated }, "two"],
    ["by health before price", {}, { price: allocated, availability: { share: 0.5, samples: 20 } }, { price: active, availability: { share: 1, samples: 20 } }, "two"],
    ["not by one failure alone", {}, { price: allocated, availability: { share: 0, samples: 1 } }, { price: active }, "one"],
    ["by price at the duty cycle: busy", { sort: "price" }, { price: active }, { price: allocated }, "two"],
    ["by price at the duty cycle: mostly idle", { sort: "price", dutyCycle: 0.1 }, { price: allocated }, { price: active }, "two"],
    ["by cold start", { sort: "cold_start" }, { coldStart: ms(90) }, { coldStart: ms(30) }, "two"],
    ["by exec latency", { sort: "exec_latency" }, { execLatency: ms(9) }, { execLatency: ms(3) }, "two"],
    ["by availability", { sort: "availability" }, { availability: { share: 0.95, samples: 900 } }, { availability: { share: 0.99, samples: 900 } }, "two"],
    ["by what is preferred, before price", { preferredColdStart: { p50: 50, p90: 100 } }, { price: allocated, coldStart: ms(60) }, { price: active, coldStart: ms(40, 90) }, "two"],
    ["not measured before known to be slow", { preferredColdStart: { p50: 50, p90: Infinity } }, { coldStart: ms(60) }, {}, "two"],
    ["by the order that is given, before all of that", { order: ["one"], sort: "price" }, { price: active }, { price: allocated }, "one"],
    ["away from a long queue, before the order", { order: ["one"] }, { gate: { breaker: "closed", retryAfterMs: 0, queueMs: 3000 } }, {}, "two"],
    ["not away from a short one", {}, { gate: { breaker: "closed", retryAfterMs: 0, queueMs: 1500 } }, {}, "one"],
  ])("goes %s", (_what, routing, one, other, expected) => {
    expect(chosen(routing, two(one, other))).toBe(expected);
  }); // prettier-ignore

  it("says all that stands against a backend, by name", () => {
    const { route: decision } = rank(
      asked({ maxPricePerHour: 10_000, dataResidency: ["eu"], selfHostedOnly: true }),
      two({ region: "us", price: allocated }, {}),
    );
    expect(decision.chosen).toBeNull();
    expect(decision.candidates.map(({ reason }) => reason)).toEqual([
      "its region is us, not eu; it is not known to be self-hosted, which is required; it may cost $0.06 an hour with its CPU busy, and routing.max_price_per_hour is $0.01",
      "its region is not known, and eu is required; it is not known to be self-hosted, which is required; what it may cost an hour with its CPU busy is not known, and routing.max_price_per_hour is $0.01",
    ]);
  });
});

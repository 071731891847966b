import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ISOLATION_LEVELS, meetsIsolation, type Traits } from "../../src/contract/index.ts";
import { route, type RouteBackend, type RouteRequest } from "../../src/engine/route.ts";

const NAMES = ["a", "b", "c", "d"];
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
const backends = fc
  .tuple(fc.subarray(NAMES), fc.array(traits, { minLength: 4, maxLength: 4 }))
  .map(([names, list]): RouteBackend[] => names.map((name, index) => ({ name, traits: list[index] as Traits })));
const request: fc.Arbitrary<RouteRequest> = fc.record({
  routing: fc.record({
    order: fc.subarray(NAMES),
    only: fc.option(fc.subarray(NAMES), { nil: undefined }),
    ignore: fc.subarray(NAMES),
    allowFallbacks: fc.boolean(),
    requireCapabilities: fc.constant([]),
  }),
  requirements: fc.uniqueArray(capability).map((list) => list.map((one) => ({ capability: one, field: `field.${one}` }))),
  isolationMin: fc.constantFrom(...ISOLATION_LEVELS),
  resources: fc.record({
    cpu: fc.integer({ min: 1, max: 8 }),
    memory_bytes: fc.constant(1),
    disk_bytes: fc.constant(1),
    inodes: fc.constant(1),
    pids: fc.constant(1),
  }),
  maxLife: fc.constant(60),
});

describe("routing", () => {
  it("never chooses a backend below the floor, outside only, ignored, unavailable, too small, or without a capability", () => {
    fc.assert(
      fc.property(request, backends, (asked, list) => {
        for (const name of route(asked, list).ranked) {
          const { traits } = list.find((backend) => backend.name === name) as RouteBackend;
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

  it("is stable, and gives every backend one verdict with a reason", () => {
    fc.assert(
      fc.property(request, backends, (asked, list) => {
        const first = route(asked, list);
        expect(route(asked, list)).toEqual(first);
        const names = first.route.candidates.map(({ backend }) => backend);
        expect(new Set(names).size).toBe(names.length);
        for (const { name } of list) expect(names).toContain(name);
        for (const { reason } of first.route.candidates) expect(reason).not.toBe("");
        expect(first.route.chosen).toBe(first.ranked[0] ?? null);
        expect(first.route.candidates.filter(({ verdict }) => verdict === "chosen").length).toBe(first.ranked.length === 0 ? 0 : 1);
      }),
    );
  });

  it("tries the order as it is given, then the others as configured, and only one without fallbacks", () => {
    fc.assert(
      fc.property(request, backends, (asked, list) => {
        const { ranked } = route(asked, list);
        const place = (name: string) =>
          asked.routing.order.includes(name) ? asked.routing.order.indexOf(name) : 100 + list.findIndex((backend) => backend.name === name);
        expect(ranked).toEqual(ranked.toSorted((a, b) => place(a) - place(b)));
        if (!asked.routing.allowFallbacks) expect(ranked.length).toBeLessThanOrEqual(1);
      }),
    );
  });
});

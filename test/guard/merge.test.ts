import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ISOLATION_LEVELS, meetsIsolation, type Profile } from "../../src/contract/index.ts";
import { DEFAULTS, type Floor, mergeSettings, type Request } from "../../src/guard/index.ts";

const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });
const seconds = optional(fc.integer({ min: 1, max: 100_000 }));
const level = optional(fc.constantFrom(...ISOLATION_LEVELS));
const resources = fc.record({
  cpu: optional(fc.double({ min: 0.05, max: 64, noNaN: true })),
  memory: optional(fc.integer({ min: 16 << 20, max: 1 << 30 })),
  disk: optional(fc.integer({ min: 1 << 20, max: 1 << 30 })),
  inodes: optional(fc.integer({ min: 64, max: 1e6 })),
  pids: optional(fc.integer({ min: 8, max: 1e5 })),
});
const bounds = fc.record({ ttl: seconds, idle: seconds, max_life: seconds, resources, level });

type BoundSet = typeof bounds extends fc.Arbitrary<infer T> ? T : never;
const defined = (value: object): object => JSON.parse(JSON.stringify(value)) as object;
const isolation = ({ level }: BoundSet) => (level === undefined ? undefined : { isolation_level: { min: level } });
const asFloor = (set: BoundSet) =>
  defined({ ttl: set.ttl, idle: set.idle, max_life: set.max_life, resources: set.resources, ...isolation(set) }) as Floor;
const asRequest = (set: BoundSet) => asFloor(set) as Request;
const asProfile = (set: BoundSet) =>
  defined({
    kind: "profile",
    name: "p",
    version: 1,
    lifetime: { ttl: set.ttl, idle: set.idle, max_life: set.max_life },
    resources: set.resources,
    ...isolation(set),
  }) as Profile;

describe("merging floor, profile and request", () => {
  it("is never wider than any of the three", () => {
    fc.assert(
      fc.property(bounds, bounds, bounds, (floor, profile, request) => {
        const merged = mergeSettings(asFloor(floor), asProfile(profile), asRequest(request));
        for (const side of [floor, profile, request]) {
          expect(merged.ttl).toBeLessThanOrEqual(side.ttl ?? Infinity);
          expect(merged.maxLife).toBeLessThanOrEqual(side.max_life ?? Infinity);
          expect(merged.idle ?? Infinity).toBeLessThanOrEqual(side.idle ?? Infinity);
          expect(merged.resources.cpu).toBeLessThanOrEqual(side.resources.cpu ?? Infinity);
          expect(merged.resources.memory_bytes).toBeLessThanOrEqual(side.resources.memory ?? Infinity);
          expect(merged.resources.disk_bytes).toBeLessThanOrEqual(side.resources.disk ?? Infinity);
          expect(merged.resources.inodes).toBeLessThanOrEqual(side.resources.inodes ?? Infinity);
          expect(merged.resources.pids).toBeLessThanOrEqual(side.resources.pids ?? Infinity);
          if (side.level !== undefined) expect(meetsIsolation(merged.isolationMin, side.level)).toBe(true);
        }
        expect(merged.ttl).toBeLessThanOrEqual(merged.maxLife);
      }),
    );
  });

  it("says of every field that was asked for and not given in full that it was narrowed", () => {
    fc.assert(
      fc.property(bounds, bounds, bounds, (floor, profile, request) => {
        const merged = mergeSettings(asFloor(floor), asProfile(profile), asRequest(request));
        const pairs = [
          ["ttl", request.ttl, merged.ttl], ["max_life", request.max_life, merged.maxLife], ["idle", request.idle, merged.idle],
          ["resources.cpu", request.resources.cpu, merged.resources.cpu], ["resources.memory", request.resources.memory, merged.resources.memory_bytes],
          ["isolation_level.min", request.level, merged.isolationMin],
        ] as const; // prettier-ignore
        for (const [field, asked, given] of pairs) if (asked !== undefined) expect(merged.narrowed.includes(field)).toBe(asked !== given);
      }),
    );
  });

  it("gives the defaults where nobody says anything, within the floor", () => {
    const empty = asProfile({ ttl: undefined, idle: undefined, max_life: undefined, resources: {}, level: undefined } as BoundSet);
    expect(mergeSettings({}, empty, {})).toMatchObject({ ttl: 1800, maxLife: 28_800, idle: null, isolationMin: "container", narrowed: [] });
    const tight = mergeSettings({ resources: { memory: 64 << 20 }, ttl: 60 }, empty, {});
    expect([tight.resources.memory_bytes, tight.resources.cpu, tight.ttl, tight.narrowed]).toEqual([
      64 << 20,
      DEFAULTS.resources.cpu,
      60,
      [],
    ]);
  });

  it("lets the request override the profile's environment and keeps every bound on where it may go", () => {
    const profile = {
      kind: "profile",
      name: "p",
      version: 1,
      env: { A: "1", B: "1" },
      routing: { only: ["a", "b"], ignore: ["x"], allow_fallbacks: false },
    } as Profile;
    const merged = mergeSettings({}, profile, { env: { B: "2" }, routing: { only: ["b", "c"], ignore: ["y"], allow_fallbacks: true } });
    expect(merged.env).toEqual({ A: "1", B: "2" });
    expect(merged.routing).toMatchObject({ only: ["b"], ignore: ["x", "y"], allowFallbacks: false });
  });
});

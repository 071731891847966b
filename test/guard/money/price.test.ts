import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CpuBasis, type Price } from "../../../src/contract/index.ts";
import { allocationOf, boundFromUsd, costOf, expectedCost, largestCost, ratePerHour, type Stay } from "../../../src/guard/index.ts";

const base: Price = { vcpu_hour: 0.0504, gb_hour: 0.0162, cpu_basis: "allocated", effective: "2026", source: "test", confidence: "high" };
const GIB = 1024 ** 3;
const one = allocationOf({ cpu: 1, memory_bytes: GIB, disk_bytes: 2 * GIB });
const stay = (over: Partial<Stay> = {}): Stay => ({ ...one, ms: 3_600_000, creates: 1, egressBytes: 0, activeCpuMs: null, ...over });

const usd = (max: number) => fc.integer({ min: 0, max: 1_000_000 }).map((part) => (part / 1_000_000) * max);
const price = fc.record({
  vcpu_hour: usd(100),
  gb_hour: usd(100),
  disk_gb_hour: usd(1),
  disk_free_gb: fc.integer({ min: 0, max: 20 }),
  create_per_million: usd(100),
  egress_gb: usd(100),
  granularity_s: fc.constantFrom(0.01, 1, 60),
  cpu_basis: fc.constantFrom(...CpuBasis.options),
}).map((terms): Price => ({ ...base, ...terms })); // prettier-ignore
const stays = fc.record({
  cpuMilli: fc.integer({ min: 50, max: 64_000 }),
  memMib: fc.integer({ min: 16, max: 262_144 }),
  diskMib: fc.integer({ min: 1, max: 1_048_576 }),
  ms: fc.integer({ min: 0, max: 366 * 86_400_000 }),
  creates: fc.integer({ min: 0, max: 1000 }),
  egressBytes: fc.integer({ min: 0, max: 1e13 }),
  activeCpuMs: fc.option(fc.integer({ min: 0, max: 1e12 })),
});

describe("the price of an hour", () => {
  it.each([
    ["E2B's own example, 2 vCPU and 512 MiB", base, { cpu: 2, memory_bytes: GIB / 2, disk_bytes: 0 }, 1, 108_900],
    ["a CPU that is billed by its activity, busy for a tenth", { ...base, cpu_basis: "active" as const }, { cpu: 1, memory_bytes: GIB, disk_bytes: 0 }, 0.1, 21_240],
    ["an allocated CPU, busy for a tenth", base, { cpu: 1, memory_bytes: GIB, disk_bytes: 0 }, 0.1, 66_600],
    ["disk beyond what is free", { ...base, disk_gb_hour: 0.000108, disk_free_gb: 5 }, { cpu: 1, memory_bytes: GIB, disk_bytes: 15 * GIB }, 1, 67_680],
    ["a part of a micro-dollar, as a whole one", { ...base, vcpu_hour: 0, gb_hour: 0.0000001 }, { cpu: 1, memory_bytes: GIB, disk_bytes: 0 }, 1, 1],
    ["nothing where nothing is charged", { ...base, vcpu_hour: 0, gb_hour: 0 }, { cpu: 8, memory_bytes: GIB, disk_bytes: GIB }, 1, 0],
  ])("is right for %s", (_what, price, resources, duty, microUsd) => {
    expect(ratePerHour(price, allocationOf(resources), duty)).toBe(microUsd);
  }); // prettier-ignore

  it("turns the ranking of two places round with the duty cycle", () => {
    const active: Price = { ...base, vcpu_hour: 0.128, gb_hour: 0.0212, cpu_basis: "active" };
    expect(ratePerHour(active, one, 1)).toBeGreaterThan(ratePerHour(base, one, 1));
    expect(ratePerHour(active, one, 0.1)).toBeLessThan(ratePerHour(base, one, 0.1));
  });
});

describe("the cost of a stay", () => {
  it("is the hour's price for an hour, and rounds time up to the granularity", () => {
    expect(costOf(base, stay())).toEqual({ microUsd: 66_600, precision: "exact" });
    expect(costOf({ ...base, granularity_s: 60 }, stay({ ms: 1 })).microUsd).toBe(1110);
    expect(costOf(base, stay({ ms: 1 })).microUsd).toBe(19);
  });

  it("counts creates and what left the sandbox", () => {
    const free: Price = { ...base, vcpu_hour: 0, gb_hour: 0, create_per_million: 0.6, egress_gb: 0.15 };
    expect(costOf(free, stay({ creates: 10, egressBytes: 2e9 })).microUsd).toBe(300_006);
  });

  it("says where a CPU that is billed by activity was counted as busy, since nobody measured it", () => {
    const active: Price = { ...base, cpu_basis: "active" };
    expect(costOf(active, stay()).precision).toBe("upper_bound");
    expect(costOf(active, stay({ activeCpuMs: 360_000 }))).toEqual({ microUsd: 21_240, precision: "exact" });
  });

  it("is a whole number that never shrinks with time, and never passes the largest cost of that time", () => {
    fc.assert(
      fc.property(price, stays, fc.integer({ min: 0, max: 1e9 }), (price, stay, longer) => {
        const { microUsd } = costOf(price, stay);
        expect(Number.isSafeInteger(microUsd)).toBe(true);
        expect(costOf(price, { ...stay, ms: stay.ms + longer }).microUsd).toBeGreaterThanOrEqual(microUsd);
        const { egressBytes, creates } = stay;
        expect(largestCost(price, stay, { seconds: stay.ms / 1000, egressBytes, creates })).toBeGreaterThanOrEqual(microUsd);
      }),
    );
  });

  it("adds up: parts of a stay never cost less than the whole by more than their roundings", () => {
    fc.assert(
      fc.property(price, stays, (price, stay) => {
        const whole = { ...stay, ms: Math.floor(stay.ms / 120_000) * 120_000, activeCpuMs: null, creates: 0, egressBytes: 0 };
        const half = costOf(price, { ...whole, ms: whole.ms / 2 }).microUsd;
        expect(Math.abs(2 * half - costOf(price, whole).microUsd)).toBeLessThanOrEqual(1);
      }),
    );
  });
});

describe("the largest cost", () => {
  it("is not known where egress has a price and nothing bounds it", () => {
    const priced: Price = { ...base, egress_gb: 0.15 };
    expect(largestCost(priced, one, { seconds: 3600, egressBytes: null })).toBeNull();
    expect(largestCost(priced, one, { seconds: 3600, egressBytes: 1e9 })).toBe(216_600);
    expect(largestCost(base, one, { seconds: 3600, egressBytes: null })).toBe(66_600);
  });

  it("counts the CPU as busy, where what is expected takes the duty cycle", () => {
    const active: Price = { ...base, cpu_basis: "active" };
    expect(largestCost(active, one, { seconds: 3600, egressBytes: 0 })).toBe(66_600);
    expect(expectedCost(active, one, 3600, 0.1)).toBe(21_240);
  });
});

it("reads a bound in dollars as the micro-dollars that are meant", () => {
  expect([0.07, 0.1 + 0.2, 0.0000019, 20].map(boundFromUsd)).toEqual([70_000, 300_000, 1, 20_000_000]);
});

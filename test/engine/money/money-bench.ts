import type { Price } from "../../../src/contract/index.ts";
import { expect } from "vitest";
import { ADMIN, type Bench, type BenchOptions, openBench } from "../bench.ts";

/** 1 dollar for a vCPU and hour, nothing else. */
export const PRICE: Price = {
  vcpu_hour: 1, gb_hour: 0, cpu_basis: "allocated", granularity_s: 1, effective: "2026", source: "a test", confidence: "high",
}; // prettier-ignore

export const USD = 1_000_000;

/** One CPU for an hour at most: one dollar. */
export const HOUR = { max_life: "1h", ttl: "1h", resources: { cpu: 1 } } as const;

/** A bench whose backends have prices; by name, the same for all unless given. */
export function openPriced(options: BenchOptions & { prices?: Readonly<Record<string, Price | null>> } = {}): Promise<Bench> {
  const { prices, engine, ...rest } = options;
  return openBench({
    ...rest,
    engine: { prices: { of: (backend) => (prices === undefined ? PRICE : (prices[backend] ?? null)) }, ...engine },
  });
}

export async function expectBalanced(bench: Bench): Promise<void> {
  expect(await bench.engine.money.audit(ADMIN)).toMatchObject({ balanced: true, findings: [] });
}

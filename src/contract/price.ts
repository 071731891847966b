import { z } from "zod";

/** A price in US dollars. The bound keeps every sum of them below 2^53 micro-dollars. */
const Usd = z.number().min(0).max(100);

/**
 * What the CPU is billed by: `allocated` while the sandbox exists, `active` while the CPU runs. `max(request, actual)` is the same as
 * `allocated` here, where a sandbox never gets more than it requested.
 */
export const CpuBasis = z.enum(["allocated", "active", "max(request, actual)"]);
export type CpuBasis = z.infer<typeof CpuBasis>;

/** One place's price list, as a formula. */
export const Price = z
  .strictObject({
    vcpu_hour: Usd.meta({ description: "USD for one vCPU and hour, by cpu_basis." }),
    gb_hour: Usd.meta({ description: "USD for one GB (1024 MiB) of memory and hour, allocated." }),
    cpu_basis: CpuBasis,
    disk_gb_hour: Usd.max(1).optional().meta({ description: "USD for one GB (1024 MiB) of disk and hour, allocated; 0 unless given." }),
    disk_free_gb: z.number().min(0).max(65_536).optional().meta({ description: "Disk that costs nothing; 0 unless given." }),
    create_per_million: Usd.max(100_000).optional().meta({ description: "USD for a million creates; 0 unless given." }),
    egress_gb: Usd.optional().meta({ description: "USD for one GB (10^9 bytes) out of the sandbox; 0 unless given." }),
    snapshot_gb_month: Usd.optional().meta({ description: "USD for one GB of a snapshot and month of 730 hours; unknown unless given." }),
    granularity_s: z
      .number()
      .min(0.001)
      .max(86_400)
      .optional()
      .meta({ description: "Time is billed in whole steps of it; 1 unless given." }),
    paused: z
      .enum(["free", "memory", "full"])
      .optional()
      .meta({ description: "What is billed while it is paused; unknown unless given: then counted in full." }),
    effective: z.string().min(1).max(32).meta({ description: "Since when: a year, month or day." }),
    source: z.string().min(1).max(200).meta({ description: "Who says so." }),
    confidence: z.enum(["high", "medium", "low"]),
    note: z.string().max(300).optional(),
  })
  .meta({ id: "Price" });
export type Price = z.infer<typeof Price>;

/** A file of prices: `prices.json`, which comes with sand-boxer, or an operator's own, whose entries stand before those. */
export const PriceBook = z
  .strictObject({
    currency: z.literal("USD"),
    note: z.string().optional(),
    prices: z
      .record(z.string().regex(/^[a-z0-9]([a-z0-9._@/-]{0,126}[a-z0-9])?$/, "must be a provider's name, or a key of your own"), Price)
      .meta({ description: "By the name of the provider, or a key that backends[].price names." }),
  })
  .meta({ id: "PriceBook" });
export type PriceBook = z.infer<typeof PriceBook>;

/** A backend's own price: a key of the book, or terms over its provider's entry; without such an entry they must be whole. */
export const PriceConfig = z.union([z.string().min(1), Price.partial()]);
export type PriceConfig = z.infer<typeof PriceConfig>;

import { z } from "zod";
import { Capability, IsolationLevel } from "./capability.ts";
import { Duration } from "./units.ts";

/** `name`, `name@version`, with `:warm` or `:floor` behind it as a routing shorthand. */
export const ProfileReference = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,62}(@\d{1,9})?(:(warm|floor))?$/, 'must be "name", "name@version", optionally with ":warm" or ":floor"')
  .meta({
    id: "ProfileReference",
    description: "`:warm` behind it stands for routing.sort cold_start, `:floor` for price.",
    examples: ["python", "python@3", "python:floor"],
  });

/** Where a backend keeps what it is given, coarse to fine: `eu`, `eu-west`, `eu-west-1`. */
export const Region = z.string().regex(/^[a-z0-9]+(-[a-z0-9]+)*$/, 'must be lower-case words with dashes, as "eu" or "eu-west-1"');

export const RouteSort = z.enum(["price", "cold_start", "exec_latency", "availability"]).meta({ id: "RouteSort" });
export type RouteSort = z.infer<typeof RouteSort>;

const usd = z.number().min(0).max(1_000_000);
const milliseconds = z.number().min(0);

export const Routing = z
  .strictObject({
    order: z.array(z.string()).optional().meta({ description: "Tried in that order, before all others." }),
    only: z.array(z.string()).optional().meta({ description: "No other backend; [] is none." }),
    ignore: z.array(z.string()).optional().meta({ description: "Never these." }),
    allow_fallbacks: z
      .boolean()
      .optional()
      .meta({ description: "Whether another backend or profile may be tried where the first cannot; true unless given." }),
    require_capabilities: z.array(Capability).optional().meta({ description: "Beside what the profile uses, which is required anyway." }),
    min_isolation: IsolationLevel.optional(),
    sort: RouteSort.optional().meta({ description: "What comes first; balanced by health and price unless given." }),
    max_price_per_hour: usd
      .optional()
      .meta({ description: "USD an hour with the CPU busy throughout; what costs more, or an unknown amount, is refused." }),
    max_total_cost: usd
      .optional()
      .meta({ description: "USD at most over max_life; what may cost more, or an unknown amount, is refused." }),
    preferred_max_cold_start: z
      .strictObject({ p50: milliseconds.optional(), p90: milliseconds.optional() })
      .optional()
      .meta({ description: "Milliseconds: what was measured to be slower comes last, what is not measured before that." }),
    data_residency: Region.optional().meta({ description: "The backend's region must be it or lie in it; an unknown one does not." }),
    self_hosted_only: z.boolean().optional().meta({ description: "Only on machines of the operator's own; unknown means no." }),
    duty_cycle: z
      .number()
      .min(0)
      .max(1)
      .optional()
      .meta({ description: "Expected share of time with the CPU busy, for prices by CPU activity; 1 unless given." }),
    profiles: z
      .array(ProfileReference)
      .max(8)
      .optional()
      .meta({ description: "Made from these instead, in turn, where no backend can take the first. Each has its own bounds." }),
  })
  .meta({ id: "Routing", description: "The names of OpenRouter's `provider` object, over backends." });
export type Routing = z.infer<typeof Routing>;

/** The operator's bounds of routing. What only prefers is not among them. */
export const RoutingFloor = Routing.pick({
  only: true,
  ignore: true,
  allow_fallbacks: true,
  require_capabilities: true,
  max_price_per_hour: true,
  max_total_cost: true,
  data_residency: true,
  self_hosted_only: true,
});
export type RoutingFloor = z.infer<typeof RoutingFloor>;

/** How this server routes. */
export const RoutingConfig = z.strictObject({
  max_queue_wait: Duration.optional().meta({
    description: "A create that would wait longer for a backend's create rate goes to the next one; 2s unless given.",
  }),
});
export type RoutingConfig = z.infer<typeof RoutingConfig>;

/** What a backend took for something, of late, as this server measured it. Milliseconds; newer measurements weigh more. */
export const Percentiles = z
  .object({
    p50: z.number(),
    p90: z.number(),
    p95: z.number(),
    samples: z.number().meta({ description: "How many measurements, by their weight: one of an hour ago counts half." }),
  })
  .meta({ id: "Percentiles" });
export type Percentiles = z.infer<typeof Percentiles>;

/** Amounts in micro-dollars. */
export const RouteCost = z
  .object({
    per_hour_micro_usd: z.int().meta({ description: "At the expected duty cycle." }),
    expected_micro_usd: z.int().meta({ description: "Over the ttl, at the expected duty cycle, without egress." }),
    at_most_micro_usd: z
      .int()
      .nullable()
      .meta({ description: "Over max_life, the CPU busy throughout; null: egress has a price and nothing bounds it." }),
    source: z.string(),
    effective: z.string(),
    confidence: z.enum(["high", "medium", "low"]),
  })
  .meta({ id: "RouteCost" });
export type RouteCost = z.infer<typeof RouteCost>;

/** `closed`: it is used. `open`: it failed too often of late, and is left alone. `half_open`: one create may try it. `probing`: one does. */
export const BreakerState = z.enum(["closed", "open", "half_open", "probing"]).meta({ id: "BreakerState" });
export type BreakerState = z.infer<typeof BreakerState>;

/** One backend's place in a routing decision. What it is measured, costs and waits for is of that time; null: not known. */
export const RouteCandidate = z
  .object({
    backend: z.string(),
    verdict: z.enum(["chosen", "eligible", "rejected", "failed"]),
    reason: z.string(),
    cost: RouteCost.nullable().optional(),
    cold_start_ms: Percentiles.nullable().optional(),
    exec_ms: Percentiles.nullable().optional(),
    availability: z.number().nullable().optional().meta({ description: "Share of creates that the backend did not fail, of late." }),
    breaker: BreakerState.optional(),
    queue_ms: z.number().optional().meta({ description: "How long a create would wait for the backend's create rate." }),
  })
  .meta({ id: "RouteCandidate" });
export type RouteCandidate = z.infer<typeof RouteCandidate>;

export const Route = z
  .object({
    chosen: z.string().nullable(),
    reason: z.string(),
    candidates: z.array(RouteCandidate),
    profile: z.string().optional().meta({ description: "What it was planned for, name@version." }),
    sort: z.union([RouteSort, z.literal("balanced")]).optional(),
    duty_cycle: z.number().optional(),
    instead_of: z
      .array(z.object({ profile: z.string(), code: z.string(), reason: z.string() }))
      .optional()
      .meta({ description: "Profiles that were to be used before it, and why each could not." }),
  })
  .meta({ id: "Route", description: "Why this backend, and why not the others." });
export type Route = z.infer<typeof Route>;

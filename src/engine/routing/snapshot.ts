import type { BreakerState, IsolationLevel, Percentiles, Price, Resources, Traits } from "../../contract/index.ts";
import type { MergedRouting } from "../../guard/index.ts";
import { type Backend, traitsOf } from "../backends.ts";
import type { Context } from "../context.ts";
import type { Requirement } from "../requirements.ts";

export interface RouteRequest {
  readonly routing: MergedRouting;
  readonly requirements: readonly Requirement[];
  readonly isolationMin: IsolationLevel;
  readonly resources: Resources;
  /** Seconds. */
  readonly maxLife: number;
  /** Seconds. */
  readonly ttl: number;
  /** The most that may leave it; null: nothing bounds it. */
  readonly egressBytes: number | null;
}

export interface Availability {
  readonly share: number;
  readonly samples: number;
}

/** A backend as it stands at one moment: all that a ranking looks at. */
export interface RouteBackend {
  readonly name: string;
  /** Its place in the configuration, which decides where nothing else does. */
  readonly place: number;
  readonly traits: Traits;
  /** undefined: not known. */
  readonly region: string | undefined;
  readonly selfHosted: boolean | undefined;
  /** null: not known. */
  readonly price: Price | null;
  /** Of late; null: not measured. */
  readonly coldStart: Percentiles | null;
  readonly execLatency: Percentiles | null;
  /** Share of creates that it did not fail, of late, and of how many by their weight; null: there were none. */
  readonly availability: Availability | null;
  /** Of a host of the inventory: why it has no room for another one like that; undefined where it has. */
  readonly full?: string | undefined;
  readonly gate: { readonly breaker: BreakerState; readonly retryAfterMs: number; readonly queueMs: number };
}

/** What is known of a backend's place: the configuration's word, else the provider's. */
export function placeOf(ctx: Context, backend: Backend): { region: string | undefined; selfHosted: boolean | undefined } {
  const configured = ctx.config.backends?.find(({ name }) => name === backend.name);
  const traits = traitsOf(backend);
  return {
    region: configured?.region ?? traits.region,
    selfHosted: configured?.self_hosted ?? traits.selfHosted ?? (backend.providerName === "local" ? true : undefined),
  };
}

export function availabilityOf({ measure }: Context, name: string): Availability | null {
  const [good, bad] = [measure.rolling.weight(name, "cold_start"), measure.rolling.weight(name, "acquire_failed")];
  const samples = good + bad;
  return samples < 0.1 ? null : { share: good / samples, samples };
}

/** Every backend as it stands now for a sandbox with those resources. Asks none of them. */
export function snapshot(ctx: Context, resources: Resources): RouteBackend[] {
  return ctx.backends.map((backend, place) => {
    const { name } = backend;
    const { breaker, pace } = ctx.gates.of(name);
    return {
      name,
      place,
      traits: traitsOf(backend),
      ...placeOf(ctx, backend),
      price: ctx.prices.of(name),
      coldStart: ctx.measure.rolling.percentiles(name, "cold_start"),
      execLatency: ctx.measure.rolling.percentiles(name, "exec_start"),
      availability: availabilityOf(ctx, name),
      full: ctx.inventory.full(name, resources),
      gate: { breaker: breaker.state, retryAfterMs: breaker.retryAfterMs, queueMs: pace.waitMs },
    };
  });
}

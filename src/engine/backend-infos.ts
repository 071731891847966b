import type { BackendInfo } from "../contract/index.ts";
import { traitsOf } from "./backends.ts";
import type { Context } from "./context.ts";
import { measurementsRead } from "./routing/keep.ts";
import { availabilityOf, placeOf } from "./routing/snapshot.ts";

/** The configured backends as they stand now. Asks none of them. */
export async function backendInfos(ctx: Context): Promise<BackendInfo[]> {
  await ctx.inventory.look();
  await measurementsRead(ctx);
  const { rolling } = ctx.measure;
  return ctx.backends.map((backend): BackendInfo => {
    const { name } = backend;
    const traits = traitsOf(backend);
    const { breaker, pace } = ctx.gates.of(name);
    const { region, selfHosted } = placeOf(ctx, backend);
    return {
      object: "backend",
      name,
      provider: backend.providerName,
      available: traits.unavailable === undefined,
      reason: traits.unavailable ?? null,
      isolation: traits.isolation.map(({ level, runtime, notes }) => ({ level, runtime, notes: [...notes] })),
      capabilities: { ...traits.capabilities },
      limits: { ...traits.limits },
      region: region ?? null,
      self_hosted: selfHosted ?? null,
      price: ctx.prices.of(name),
      breaker: {
        state: breaker.state,
        failures: breaker.failures,
        retry_after_ms: breaker.state === "closed" ? null : Math.ceil(breaker.retryAfterMs),
      },
      queue_ms: Math.ceil(pace.waitMs),
      availability: availabilityOf(ctx, name)?.share ?? null,
      latency_ms: Object.fromEntries(
        rolling.verbs(name).flatMap((verb) => {
          const measured = rolling.percentiles(name, verb);
          return measured === null ? [] : [[verb, measured] as const];
        }),
      ),
    };
  });
}

import type { MetricSample } from "../contract/index.ts";
import { countLiveByState, writeMeta } from "../ledger/index.ts";
import { traitsOf } from "./backends.ts";
import type { Context } from "./context.ts";
import type { Engine } from "./engine.ts";
import type { Sweeper } from "./sweeper.ts";

type Check = { ok: boolean; detail: string | null };

async function ledgerCheck(ctx: Context): Promise<Check> {
  try {
    await ctx.ledger.transaction((tx) => writeMeta(tx, "health", String(ctx.clock.now())));
    return { ok: true, detail: null };
  } catch (thrown) {
    return { ok: false, detail: thrown instanceof Error ? thrown.message : String(thrown) };
  }
}

/** Looks at what is known and writes one row; asks no backend. */
export async function health(ctx: Context, sweeper: Sweeper, intervalSeconds: number | null): ReturnType<Engine["health"]> {
  const checks: Record<string, Check> = { ledger: await ledgerCheck(ctx) };
  if (intervalSeconds !== null) {
    const late = sweeper.age !== null && sweeper.age > Math.max(60, 3 * intervalSeconds) * 1000;
    checks["sweeper"] = late
      ? { ok: false, detail: `no sweep has ended for ${Math.round((sweeper.age ?? 0) / 1000)}s` }
      : { ok: true, detail: sweeper.age === null ? "no sweep yet" : null };
  }
  if (ctx.boundary.used) checks["boundary"] = { ok: ctx.boundary.problem === null, detail: ctx.boundary.problem };
  for (const backend of ctx.backends) {
    const { unavailable } = traitsOf(backend);
    checks[`backend:${backend.name}`] =
      unavailable === undefined ? (backend.lastAnswer ?? { ok: true, detail: null }) : { ok: false, detail: unavailable };
  }
  return { status: Object.values(checks).every(({ ok }) => ok) ? "ok" : "degraded", checks };
}

export async function metrics(ctx: Context, sweeper: Sweeper): Promise<MetricSample[]> {
  const live = await countLiveByState(ctx.ledger.db);
  const gauges: MetricSample[] = [
    {
      name: "sandboxer_sandboxes",
      help: "Sandboxes that have not ended.",
      type: "gauge",
      values: live.map(({ state, backend, count }) => ({ labels: { state, backend }, value: count })),
    },
    {
      name: "sandboxer_sweep_age_seconds",
      help: "Since a sweep last ended; absent before the first.",
      type: "gauge",
      values: sweeper.age === null ? [] : [{ labels: {}, value: sweeper.age / 1000 }],
    },
    {
      name: "sandboxer_backend_up",
      help: "Whether the backend's last answer was good.",
      type: "gauge",
      values: ctx.backends.map((backend) => ({
        labels: { backend: backend.name },
        value: traitsOf(backend).unavailable === undefined && backend.lastAnswer?.ok !== false ? 1 : 0,
      })),
    },
  ];
  return [...gauges, ...ctx.measure.samples()];
}

import type { Sandbox, SandboxCost } from "../../contract/index.ts";
import { type Db, type StayWithUsage, staysOf } from "../../ledger/index.ts";
import type { Context } from "../context.ts";
import { costOfStay } from "./settle.ts";

/** The same sandboxes, each with what it costs. One look-up for all of them. */
export async function withCosts(ctx: Context, sandboxes: readonly Sandbox[], db: Db = ctx.ledger.db): Promise<Sandbox[]> {
  const stays = new Map<string, StayWithUsage[]>();
  for (const stay of await staysOf(
    db,
    sandboxes.map(({ id }) => id),
  ))
    stays.set(stay.sandbox_id, [...(stays.get(stay.sandbox_id) ?? []), stay]);
  const now = ctx.clock.now();
  return sandboxes.map((sandbox) => {
    const cost = costFrom(stays.get(sandbox.id) ?? [], now);
    return cost === undefined ? sandbox : { ...sandbox, cost };
  });
}

export async function withCost(ctx: Context, sandbox: Sandbox): Promise<Sandbox> {
  return (await withCosts(ctx, [sandbox]))[0] ?? sandbox;
}

/** undefined for a sandbox of before costs were kept. */
function costFrom(stays: readonly StayWithUsage[], now: number): SandboxCost | undefined {
  const last = stays.toSorted((a, b) => b.generation - a.generation)[0];
  if (last === undefined) return undefined;
  const costs = stays.map((stay) => costOfStay(stay, now));
  const soFar = costs.every((cost) => cost !== null) ? costs.reduce((sum, cost) => sum + cost.microUsd, 0) : null;
  const before = soFar === null ? null : soFar - (costOfStay(last, now)?.microUsd ?? 0);
  return {
    currency: "USD",
    so_far_micro_usd: soFar,
    largest_micro_usd: last.largest === null || before === null ? null : last.largest + before,
    micro_usd_per_hour: last.rate,
    precision: costs.some((cost) => cost?.precision === "upper_bound") ? "upper_bound" : "exact",
    settled: stays.every(({ settled_at }) => settled_at !== null),
    account: last.account,
    unknown_because: stays.find(({ unknown_because }) => unknown_because !== null)?.unknown_because ?? null,
  };
}

import type { Metered, Provider, Ref } from "../../contract/index.ts";
import { DIFFERENCE_PERCENT, differenceOf } from "../../guard/index.ts";
import { appendEvent, forgetMetering, type StayWithUsage, staysToMeter, writeMetered } from "../../ledger/index.ts";
import { type Context, op } from "../context.ts";
import { parallel } from "../parallel.ts";
import type { Report } from "../report.ts";

/** How many stays one sweep asks a backend about. */
const A_SWEEP = 64;
const AT_ONCE = 4;
/** How long a backend may take to have metered a stay. Then it is said to have nothing. */
const PATIENCE_MS = 48 * 3600_000;

function ours(stay: StayWithUsage): Record<string, number> {
  return {
    vcpu_seconds: stay.vcpu_seconds ?? 0,
    mem_mib_seconds: stay.mem_mib_seconds ?? 0,
    ...(stay.cost === null || stay.precision !== "exact" ? {} : { micro_usd: stay.cost }),
  };
}

async function keep(ctx: Context, stay: StayWithUsage, theirs: Metered): Promise<void> {
  const percent = differenceOf(ours(stay), { ...theirs });
  const flagged = percent !== null && percent > DIFFERENCE_PERCENT;
  const at = ctx.clock.now();
  const metered = JSON.stringify({ ...theirs, ...(percent === null ? {} : { percent: Math.round(percent * 100) / 100 }) });
  await ctx.ledger.transaction(async (tx) => {
    await writeMetered(tx, stay, { meter: "had", metered, metered_at: at, flagged: flagged ? 1 : 0 });
    if (flagged)
      await appendEvent(tx, {
        type: "usage.differs",
        at,
        tenant: stay.tenant,
        sandboxId: stay.sandbox_id,
        data: { generation: stay.generation, backend: stay.backend, ours: ours(stay), metered: theirs, percent },
      });
  });
}

async function ask(ctx: Context, provider: Provider, stay: StayWithUsage): Promise<void> {
  const ref: Pick<Ref, "id" | "tenant" | "generation"> = { id: stay.sandbox_id, tenant: stay.tenant, generation: stay.generation };
  const theirs = await provider.metered?.(ref, op(ctx));
  if (theirs === undefined) return;
  if (theirs !== null) return keep(ctx, stay, theirs);
  if (ctx.clock.now() - (stay.settled_at ?? 0) > PATIENCE_MS)
    await writeMetered(ctx.ledger.db, stay, { meter: "none", metered: null, metered_at: ctx.clock.now(), flagged: 0 });
}

/** Asks backends that meter what they have of stays that are over, and keeps it beside ours. Ours is what is charged, in any case. */
export async function readMeters(ctx: Context, report: Report): Promise<void> {
  for (const { name, provider } of ctx.backends) {
    if (provider === null) continue;
    const stays = await staysToMeter(ctx.ledger.db, name, A_SWEEP);
    if (stays.length === 0) continue;
    if (provider.metered === undefined) await forgetMetering(ctx.ledger.db, name);
    else
      await parallel(stays, AT_ONCE, (stay) => report.try({ backend: name, sandboxId: stay.sandbox_id }, () => ask(ctx, provider, stay)));
  }
}

import type { Price } from "../../contract/index.ts";
import { costOf } from "../../guard/index.ts";
import {
  addToDay, type Db, findBudget, findUsage, openStays, post, restOf, type SandboxRow, settleHolds, settleInAccount, settleStay, type StayRow, type StayWithUsage, type UsageRow,
} from "../../ledger/index.ts"; // prettier-ignore
import { tellBudget } from "./tell-budget.ts";

/** What a stay has cost until then, or in all. Never beyond max_life, at which the backend itself ends it. null: no price. */
export function costUntil(
  stay: Pick<StayRow, "price">,
  usage: { opened_at: number } & Pick<
    UsageRow,
    "cpu_milli" | "mem_mib" | "disk_mib" | "creates" | "egress_bytes_up" | "paused_ms" | "suspended_ms" | "rest_since" | "rest_kind"
  >,
  at: number,
): ReturnType<typeof costOf> | null {
  if (stay.price === null) return null;
  const { cpu_milli: cpuMilli, mem_mib: memMib, disk_mib: diskMib, creates, egress_bytes_up: egressBytes } = usage;
  // No provider measures the CPU over a whole stay yet, so none is said to be known.
  return costOf(JSON.parse(stay.price) as Price, {
    cpuMilli,
    memMib,
    diskMib,
    creates,
    egressBytes,
    ms: at - usage.opened_at,
    ...restOf(usage, at),
    activeCpuMs: null,
  });
}

/** The same for one that is open or settled. */
export function costOfStay(stay: StayWithUsage, now: number): ReturnType<typeof costOf> | null {
  if (stay.settled_at !== null) return stay.cost === null ? null : { microUsd: stay.cost, precision: stay.precision ?? "exact" };
  return costUntil(stay, { ...stay, opened_at: stay.usage_opened_at }, Math.min(now, stay.max_life_at));
}

/**
 * Turns what was reserved for the sandbox's present stay into what it cost, and gives back the rest: at its account, in its budgets, in the
 * journal and on its day. In the transaction that closes its usage, after it; where nothing is open it does nothing.
 */
export async function settleOpen(tx: Db, row: SandboxRow, at: number): Promise<void> {
  for (const stay of await openStays(tx, row.id)) {
    const usage = await findUsage(tx, stay.sandbox_id, stay.generation);
    if (usage?.closed_at === null || usage === undefined) continue;
    await settleOne(tx, stay, usage, { at, until: Math.min(usage.closed_at, row.max_life_at), confirmed: isConfirmed(row) });
  }
}

function isConfirmed(row: SandboxRow): boolean {
  return row.state !== "lost" && row.termination_reason !== "backend_lost";
}

async function settleOne(
  tx: Db,
  stay: StayRow,
  usage: UsageRow,
  { at, until, confirmed }: { at: number; until: number; confirmed: boolean },
): Promise<void> {
  const counted = costUntil(stay, usage, until);
  const cost = counted?.microUsd ?? 0;
  const { sandbox_id, generation, tenant, backend, account, reserved, profile, key_id } = stay;
  if (!(await settleStay(tx, stay, { at, cost: counted === null ? null : cost, precision: counted?.precision ?? null, confirmed }))) return;
  await settleInAccount(tx, account, { reserved, cost });
  const entry = { id: `settle:${sandbox_id}:${generation}`, at, kind: "settle" as const, account, tenant, sandbox_id, generation };
  await post(tx, entry, [
    { account: `held/${account}`, amount: -reserved },
    { account: `cost/${account}`, amount: cost },
    { account: `funds/${account}`, amount: reserved - cost },
  ]);
  await addToDay(tx, {
    day: new Date(at).toISOString().slice(0, 10),
    tenant,
    profile,
    backend,
    key_id,
    stays: 1,
    creates: usage.creates,
    vcpu_seconds: usage.vcpu_seconds ?? 0,
    mem_mib_seconds: usage.mem_mib_seconds ?? 0,
    disk_mib_seconds: usage.disk_mib_seconds ?? 0,
    egress_bytes: usage.egress_bytes_up,
    cost,
    unpriced: counted === null ? 1 : 0,
    upper_bounds: counted?.precision === "upper_bound" ? 1 : 0,
    unconfirmed: confirmed ? 0 : 1,
  });
  for (const hold of await settleHolds(tx, stay, cost)) {
    const budget = await findBudget(tx, hold.tenant, hold.budget);
    if (budget !== undefined) await tellBudget(tx, budget, hold.period, at);
  }
}

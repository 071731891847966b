import type { RestState } from "../contract/index.ts";
import type { Db } from "./ledger.ts";
import type { UsageRow } from "./schema.ts";

export interface UsageStart {
  sandboxId: string;
  generation: number;
  tenant: string;
  backend: string;
  at: number;
  resources: { cpu: number; memory_bytes: number; disk_bytes: number };
}

const MIB = 1024 ** 2;

/** Opens what is counted for one stay at one backend, in the transaction that stands before the create. */
export async function openUsage(tx: Db, start: UsageStart): Promise<void> {
  await tx
    .insertInto("usage")
    .values({
      sandbox_id: start.sandboxId,
      generation: start.generation,
      tenant: start.tenant,
      backend: start.backend,
      opened_at: start.at,
      closed_at: null,
      cpu_milli: Math.ceil(start.resources.cpu * 1000),
      mem_mib: Math.ceil(start.resources.memory_bytes / MIB),
      disk_mib: Math.ceil(start.resources.disk_bytes / MIB),
      creates: 1,
      vcpu_seconds: null,
      mem_mib_seconds: null,
      disk_mib_seconds: null,
    })
    .execute();
}

type Rest = Pick<UsageRow, "paused_ms" | "suspended_ms" | "rest_since" | "rest_kind">;

/** How long of a stay it stood still until then, the rest that is under way included. */
export function restOf({ paused_ms, suspended_ms, rest_since, rest_kind }: Rest, at: number): { pausedMs: number; suspendedMs: number } {
  const now = rest_since === null ? 0 : Math.max(0, at - rest_since);
  return {
    pausedMs: paused_ms + (rest_kind === "paused" ? now : 0),
    suspendedMs: suspended_ms + (rest_kind === "suspended" ? now : 0),
  };
}

function rested(row: Rest, at: number, kind: RestState | null): Rest {
  const { pausedMs, suspendedMs } = restOf(row, at);
  return { paused_ms: pausedMs, suspended_ms: suspendedMs, rest_since: kind === null ? null : at, rest_kind: kind };
}

/** Of what is open: from then on it stands still in that way, or (null) runs. */
export async function markRest(tx: Db, sandboxId: string, kind: RestState | null, at: number): Promise<void> {
  const open = await tx.selectFrom("usage").selectAll().where("sandbox_id", "=", sandboxId).where("closed_at", "is", null).execute();
  for (const row of open) {
    if (row.rest_kind === kind) continue;
    await tx
      .updateTable("usage")
      .set(rested(row, at, kind))
      .where("sandbox_id", "=", sandboxId)
      .where("generation", "=", row.generation)
      .execute();
  }
}

/**
 * Closes it on the confirmed release. Whole units, rounded up; a clock that went backwards counts as no time. What stood still used no
 * CPU, and no memory where it was suspended; its disk all the time.
 */
export async function closeUsage(tx: Db, sandboxId: string, at: number): Promise<void> {
  const open = await tx.selectFrom("usage").selectAll().where("sandbox_id", "=", sandboxId).where("closed_at", "is", null).execute();
  for (const row of open) {
    const ms = Math.max(0, at - row.opened_at);
    const { pausedMs, suspendedMs } = restOf(row, at);
    await tx
      .updateTable("usage")
      .set({
        closed_at: at,
        ...rested(row, at, null),
        vcpu_seconds: Math.ceil((row.cpu_milli * Math.max(0, ms - pausedMs - suspendedMs)) / 1_000_000),
        mem_mib_seconds: Math.ceil((row.mem_mib * Math.max(0, ms - suspendedMs)) / 1000),
        disk_mib_seconds: Math.ceil((row.disk_mib * ms) / 1000),
      })
      .where("sandbox_id", "=", sandboxId)
      .where("generation", "=", row.generation)
      .execute();
  }
}

/** Moves the start of what is open: the wall clock was set, and time did not pass. */
export async function shiftUsage(tx: Db, by: number): Promise<void> {
  await tx
    .updateTable("usage")
    .set((row) => ({ opened_at: row("opened_at", "+", by), rest_since: row("rest_since", "+", by) }))
    .where("closed_at", "is", null)
    .execute();
}

import type { Db } from "./ledger.ts";

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

/** Closes it on the confirmed release. Whole units, rounded up; a clock that went backwards counts as no time. */
export async function closeUsage(tx: Db, sandboxId: string, at: number): Promise<void> {
  const open = await tx.selectFrom("usage").selectAll().where("sandbox_id", "=", sandboxId).where("closed_at", "is", null).execute();
  for (const row of open) {
    const ms = Math.max(0, at - row.opened_at);
    await tx
      .updateTable("usage")
      .set({
        closed_at: at,
        vcpu_seconds: Math.ceil((row.cpu_milli * ms) / 1_000_000),
        mem_mib_seconds: Math.ceil((row.mem_mib * ms) / 1000),
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
    .set((row) => ({ opened_at: row("opened_at", "+", by) }))
    .where("closed_at", "is", null)
    .execute();
}

import { closeUsage, insertExec, insertNetwork, insertSandbox, type Ledger, openUsage } from "../../src/ledger/index.ts";

interface Shape {
  execs?: number;
  /** Whether its usage is closed: true unless given. */
  closed?: boolean;
  /** Whether the boundary has not confirmed that it has forgotten it. */
  held?: boolean;
  /** Whether the books have its stay, settled. */
  booked?: boolean;
}

/** A sandbox that ended at that time (null: lives), with labels, execs and usage of an hour on one and a half processors. */
export async function endedSandbox(
  ledger: Ledger,
  id: string,
  endedAt: number | null,
  { execs = 0, closed = true, held = false, booked = false }: Shape,
) {
  const opened = (endedAt ?? 0) - 3_600_000;
  await ledger.transaction(async (tx) => {
    await insertSandbox(
      tx,
      {
        id, tenant: "t", name: null, profile_name: "p", profile_version: 1, profile_digest: "", backend: "fake", ref: null,
        state: endedAt === null ? "ready" : "terminated", desired: "terminated", generation: 1, owner: null, isolation_min: "process",
        isolation_effective: null, runtime: null, isolation_notes: "[]", resources: "{}", narrowed: "[]", route: "{}", metadata: "{}",
        created_at: opened, ready_at: opened, last_active_at: opened, expires_at: 0, max_life_at: 0, idle_seconds: null, idle_at: null,
        ended_at: endedAt, termination_reason: null, termination_detail: null, error_code: null, error_message: null, state_lost: 0,
      },
      { team: "a" },
    ); // prettier-ignore
    const resources = { cpu: 1.5, memory_bytes: 1 << 30, disk_bytes: 1 << 30 };
    await openUsage(tx, { sandboxId: id, generation: 1, tenant: "t", backend: "fake", at: opened, resources });
    if (endedAt !== null && closed) await closeUsage(tx, id, endedAt);
    if (held) await insertNetwork(tx, { sandboxId: id, tenant: "t", generation: 1, policy: "{}", ceiling: "{}", at: opened });
    if (booked) {
      const stay = {
        sandbox_id: id,
        generation: 1,
        tenant: "t",
        backend: "fake",
        profile: "p@1",
        key_id: "",
        agent: null,
        account: "default",
        price: null,
        rate: null,
        largest: null,
        reserved: 0,
        unknown_because: null,
        opened_at: opened,
        seq: 1,
        settled_at: endedAt,
        cost: 5,
        precision: "exact",
        confirmed: 1,
        meter: null,
        metered: null,
        metered_at: null,
        flagged: 0,
      } as const;
      await tx.insertInto("stays").values(stay).execute();
    }
    for (let index = 0; index < execs; index++) await insertExec(tx, { id: `${id}-${index}`, sandboxId: id, tenant: "t", owner: "i", at: opened }); // prettier-ignore
  });
}

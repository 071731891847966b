import type { SandboxState, TerminationReason } from "../contract/index.ts";
import { reachedFrom } from "./hosts.ts";
import type { Db } from "./ledger.ts";
import type { SandboxNetworkPatch, SandboxNetworkRow } from "./schema.ts";

/** Puts down what a sandbox may reach, in the transaction that stands before every effect. */
export async function insertNetwork(
  tx: Db,
  network: { sandboxId: string; tenant: string; generation: number; policy: string; ceiling: string; at: number },
): Promise<void> {
  await tx
    .insertInto("sandbox_network")
    .values({
      sandbox_id: network.sandboxId,
      tenant: network.tenant,
      generation: network.generation,
      policy: network.policy,
      ceiling: network.ceiling,
      revision: 1,
      applied: 0,
      attached: 0,
      problem: null,
      bytes_up: 0,
      bytes_down: 0,
      told_since: 0,
      told: 0,
      untold: 0,
      updated_at: network.at,
      released_at: null,
    })
    .execute();
}

/** undefined: the sandbox was made without egress. */
export async function findNetwork(db: Db, sandboxId: string): Promise<SandboxNetworkRow | undefined> {
  return db.selectFrom("sandbox_network").selectAll().where("sandbox_id", "=", sandboxId).executeTakeFirst();
}

export async function updateNetwork(tx: Db, sandboxId: string, patch: SandboxNetworkPatch): Promise<void> {
  await tx.updateTable("sandbox_network").set(patch).where("sandbox_id", "=", sandboxId).execute();
}

/** One that the boundary may still hold, with how its sandbox stands. */
export interface HeldNetwork extends SandboxNetworkRow {
  readonly state: SandboxState;
  readonly sandbox_generation: number;
  readonly backend: string;
  readonly ref: string | null;
  readonly owner: string | null;
  readonly termination_reason: TerminationReason | null;
}

/** All that host reaches of which the boundary has not confirmed that it holds nothing more: live ones, and ended ones to be forgotten. */
export async function heldNetworks(db: Db, host: string | null): Promise<HeldNetwork[]> {
  return db
    .selectFrom("sandbox_network")
    .innerJoin("sandboxes", "sandboxes.id", "sandbox_network.sandbox_id")
    .selectAll("sandbox_network")
    .select([
      "sandboxes.state",
      "sandboxes.generation as sandbox_generation",
      "sandboxes.backend",
      "sandboxes.ref",
      "sandboxes.owner",
      "sandboxes.termination_reason",
    ])
    .where("sandbox_network.released_at", "is", null)
    .where(reachedFrom(host) as never)
    .orderBy("sandbox_network.sandbox_id")
    .execute();
}

/** Adds what moved to the usage of the stay at a backend in which it did. */
export async function addEgress(tx: Db, sandboxId: string, generation: number, bytes: { up: number; down: number }): Promise<void> {
  await tx
    .updateTable("usage")
    .set((row) => ({
      egress_bytes_up: row("egress_bytes_up", "+", bytes.up),
      egress_bytes_down: row("egress_bytes_down", "+", bytes.down),
    }))
    .where("sandbox_id", "=", sandboxId)
    .where("generation", "=", generation)
    .execute();
}

import { findNetwork, updateNetwork } from "../../ledger/index.ts";
import type { Context } from "../context.ts";
import { policyIn } from "./egress.ts";

/**
 * Gives the boundary the newest policy of the ledger. Whoever else changes it meanwhile, in whatever process: the last call to
 * the boundary is one with the newest. Resolves with how many open connections were closed.
 *
 * @throws SandboxerError `backend_unavailable` where the boundary does not answer: the sweep tries again.
 */
export async function applyPolicy(ctx: Context, sandboxId: string): Promise<number> {
  let closed = 0;
  for (;;) {
    const network = await findNetwork(ctx.ledger.db, sandboxId);
    if (network === undefined || network.released_at !== null) return closed;
    closed += (await ctx.boundary.call((boundary) => boundary.update(sandboxId, policyIn(network.policy)))).closed;
    const newest = await ctx.ledger.transaction(async (tx) => {
      const now = await findNetwork(tx, sandboxId);
      if (now?.revision !== network.revision) return false;
      await updateNetwork(tx, sandboxId, { applied: network.revision });
      return true;
    });
    if (newest) return closed;
  }
}

import { addEgress, findNetwork, type SandboxNetworkRow, updateNetwork } from "../../ledger/index.ts";
import type { Context } from "../context.ts";

export interface Traffic {
  readonly bytesUp: number;
  readonly bytesDown: number;
  /** Connections that are open now. */
  readonly open: number;
}

/**
 * Asks the boundary what a sandbox has moved and adds what is new to its usage, once however many processes look.
 * undefined where the boundary does not know it.
 */
export async function countTraffic(ctx: Context, { sandbox_id: id }: Pick<SandboxNetworkRow, "sandbox_id">): Promise<Traffic | undefined> {
  const traffic = await ctx.boundary.call((boundary) => boundary.traffic(id));
  if (traffic === undefined) return undefined;
  const { bytesUp, bytesDown } = traffic;
  await ctx.ledger.transaction(async (tx) => {
    const row = await findNetwork(tx, id);
    if (row === undefined) return;
    // Another process may have looked later and written first: a smaller count is an older one.
    const up = Math.max(0, bytesUp - row.bytes_up);
    const down = Math.max(0, bytesDown - row.bytes_down);
    if (up === 0 && down === 0) return;
    await addEgress(tx, id, row.generation, { up, down });
    await updateNetwork(tx, id, { bytes_up: row.bytes_up + up, bytes_down: row.bytes_down + down });
  });
  return traffic;
}

import { isTerminal, type NetworkView, type Principal, SandboxerError } from "../../contract/index.ts";
import { findNetwork, type SandboxNetworkRow, type SandboxRow } from "../../ledger/index.ts";
import { accessibleSandbox, requireHere } from "../access.ts";
import type { Context } from "../context.ts";
import { countTraffic } from "./traffic.ts";
import { noNetwork, toView } from "./view.ts";

/** The stored state with what the boundary says now; that it says nothing is part of the answer. */
export async function viewOf(ctx: Context, row: SandboxRow, network: SandboxNetworkRow): Promise<NetworkView> {
  if (isTerminal(row.state) || network.released_at !== null) return toView(row, network, {});
  try {
    await requireHere(ctx, row);
    const traffic = await countTraffic(ctx, network);
    return toView(row, network, traffic === undefined ? { problem: "the boundary does not know this sandbox" } : { traffic });
  } catch (thrown) {
    return toView(row, network, { problem: SandboxerError.from(thrown).message });
  }
}

/** What a sandbox may reach, whether the boundary serves it, and what moved. Of an ended one as it was. */
export async function networkOf(ctx: Context, who: Principal, id: string): Promise<NetworkView> {
  const row = await accessibleSandbox(ctx, who, id);
  const network = await findNetwork(ctx.ledger.db, id);
  return network === undefined ? noNetwork(row) : viewOf(ctx, row, network);
}

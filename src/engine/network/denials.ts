import type { NetworkVerdict } from "../../contract/index.ts";
import { appendEvent, type Db, type SandboxNetworkRow, updateNetwork } from "../../ledger/index.ts";
import type { Context } from "../context.ts";

/** Events of one sandbox's denials in one window; what is more is counted, and told with the first of the next. */
const PER_WINDOW = 30;
const WINDOW_MS = 60_000;

const kindOf = ({ host, port, method, reason, rule }: NetworkVerdict) => JSON.stringify([host, port, method, reason, rule]);

/**
 * Tells denials as events of the ledger, alike ones of a batch as one with their count. The whole story is in the network log;
 * events are for whoever watches, and a sandbox that knocks at every door must not fill the ledger.
 */
export async function tellDenials(ctx: Context, tx: Db, network: SandboxNetworkRow, entries: readonly NetworkVerdict[]): Promise<void> {
  const denied = Map.groupBy(
    entries.filter(({ verdict }) => verdict === "deny"),
    kindOf,
  );
  if (denied.size === 0) return;
  const now = ctx.clock.now();
  const fresh = now - network.told_since >= WINDOW_MS || now < network.told_since;
  let { untold } = network;
  let told = fresh ? 0 : network.told;
  for (const alike of denied.values()) {
    const [first] = alike;
    if (first === undefined) continue;
    if (told >= PER_WINDOW) {
      untold += alike.length;
      continue;
    }
    const { host, port, protocol, method, path, reason, rule, detail, secret, seq } = first;
    await appendEvent(tx, {
      type: "network.denied",
      at: Date.parse(first.at),
      tenant: network.tenant,
      sandboxId: network.sandbox_id,
      data: { host, port, protocol, method, path, reason, rule, detail, secret, log_seq: seq, count: alike.length, untold_before: untold },
    });
    told++;
    untold = 0;
  }
  await updateNetwork(tx, network.sandbox_id, { told_since: fresh ? now : network.told_since, told, untold });
}

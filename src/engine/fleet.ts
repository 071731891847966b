import type { Fleet, Principal } from "../contract/index.ts";
import { listHosts, listInstances, listLeases } from "../ledger/index.ts";
import { requireAdmin } from "./access.ts";
import type { Context } from "./context.ts";
import { livingInstances } from "./instances.ts";

/** Who works on this ledger, on which hosts, and who does what for all. */
export async function fleet(ctx: Context, who: Principal): Promise<Fleet> {
  requireAdmin(who, "the fleet");
  const { ledger, instance } = ctx;
  const [rows, living, hosts, leases] = await Promise.all([
    listInstances(ledger),
    livingInstances(ctx),
    listHosts(ledger),
    listLeases(ledger),
  ]);
  return {
    object: "fleet",
    shared: ledger.shared,
    instances: rows.map(({ id, host, pid, left_ms, age_ms, started_at }) => ({
      id,
      host,
      pid,
      self: id === instance,
      alive: living.has(id),
      lease_ms: ledger.shared ? left_ms : null,
      started_ms: started_at === 0 ? 0 : Math.max(0, age_ms),
    })),
    hosts: hosts.map(({ id, name, address, ago_ms, sandboxes }) => ({ id, name, address, seen_ms: Math.max(0, ago_ms), sandboxes })),
    leases: leases.map(({ name, holder, left_ms }) => ({ name, holder, left_ms })),
  };
}

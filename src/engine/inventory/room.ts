import { formatBytes, type Resources, SandboxerError } from "../../contract/index.ts";
import { type Db, findInventory, type InventoryTable, liveResources } from "../../ledger/index.ts";

/** What live sandboxes have together. */
export interface Amounts {
  readonly cpu: number;
  readonly memory_bytes: number;
  readonly sandboxes: number;
}

export const NOTHING: Amounts = { cpu: 0, memory_bytes: 0, sandboxes: 0 };

/** What lives at each of those backends; one with nothing is not in it. */
export async function usedAt(db: Db, backends: readonly string[]): Promise<Map<string, Amounts>> {
  const used = new Map<string, Amounts>();
  for (const { backend, resources, count } of await liveResources(db, backends)) {
    const { cpu, memory_bytes } = JSON.parse(resources) as Resources;
    const before = used.get(backend) ?? NOTHING;
    used.set(backend, {
      cpu: before.cpu + cpu * count,
      memory_bytes: before.memory_bytes + memory_bytes * count,
      sandboxes: before.sandboxes + count,
    });
  }
  return used;
}

/** Sums of shares of a CPU are not exact. */
const SLACK = 1e-6;

/** Why one more with those resources has no place at the host; undefined where it has. */
export function full(host: InventoryTable, used: Amounts, wanted: Pick<Resources, "cpu" | "memory_bytes">): string | undefined {
  if (host.draining !== 0) return "it is drained: nothing new goes there";
  if (host.sandboxes !== null && used.sandboxes + 1 > host.sandboxes) return `it has ${used.sandboxes} sandboxes, of ${host.sandboxes}`;
  if (host.cpu !== null && used.cpu + wanted.cpu > host.cpu + SLACK)
    return `${Math.round((host.cpu - used.cpu) * 100) / 100} of its ${host.cpu} CPUs are free, and resources.cpu is ${wanted.cpu}`;
  if (host.memory_bytes !== null && used.memory_bytes + wanted.memory_bytes > host.memory_bytes)
    return `${formatBytes(Math.max(0, host.memory_bytes - used.memory_bytes))} of its ${formatBytes(host.memory_bytes)} of memory are free, and resources.memory is ${formatBytes(wanted.memory_bytes)}`;
  return undefined;
}

/**
 * Whether a host of the inventory has a place for one more, in the transaction that puts it there, which is alone against every other.
 *
 * @throws SandboxerError `backend_unavailable` where it has none, or was removed.
 */
export async function takePlace(tx: Db, name: string, resources: Resources): Promise<void> {
  const host = await findInventory(tx, name);
  const used = (await usedAt(tx, [name])).get(name) ?? NOTHING;
  const why = host === undefined ? "it was removed from the inventory" : full(host, used, resources);
  if (why !== undefined) throw new SandboxerError("backend_unavailable", `host ${name}: ${why}`, { phase: "admission", backend: name });
}

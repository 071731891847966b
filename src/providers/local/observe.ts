import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Listed, Observed, Ref } from "../../contract/index.ts";
import { mountPoints } from "./disk/image.ts";
import { diskUsage } from "./disk/pool.ts";
import { cgroupOf, cgroupParent, directoryOf, type Host } from "./host.ts";
import { isBeingProbed } from "./probe.ts";
import { isAlive } from "./process-tree.ts";
import { recordedIds, refOf, type SandboxRecord } from "./record.ts";
import { isPaused } from "./rest.ts";
import { RUNTIMES, statefulIds } from "./runtime.ts";

/** Looks at what is there, and says nothing that was not seen. */

/** Every sandbox that anything of ours on this host belongs to, half-made and half-removed ones too. Throws rather than leave one out. */
export function* listSandboxes(host: Host): Generator<Listed> {
  const ids = new Set(recordedIds(host.sandboxes));
  for (const id of host.pool.live().keys()) ids.add(id);
  for (const id of host.network.pool.live().keys()) ids.add(id);
  for (const name of Object.keys(RUNTIMES)) for (const id of statefulIds(join(host.runtimeRoot, name))) ids.add(id);
  for (const id of groupedIds(host)) ids.add(id);
  for (const id of ids) {
    const record = directoryOf(host, id).read();
    if (record !== undefined && isBeingProbed(record)) continue;
    const running = record?.init !== undefined && isAlive(record.init) && record.suspended !== true && !isPaused(host, id);
    const half: Ref = { id, tenant: "", generation: 0, native: id, maxLifeAt: 0 };
    yield { ...(record === undefined ? half : refOf(record)), running };
  }
}

function groupedIds(host: Host): string[] {
  const { version1, version2, others } = host.cgroups;
  const roots = new Set([...Object.values(version1), ...others, ...(version2 === undefined ? [] : [version2.mountPoint])]);
  const ids = new Set<string>();
  for (const root of roots) {
    try {
      for (const entry of readdirSync(join(root, cgroupParent(host.instance)), { withFileTypes: true }))
        if (entry.isDirectory()) ids.add(entry.name);
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "ENOENT")) throw error;
    }
  }
  return [...ids];
}

/** Who ends a command's tree stops everything for under 1 ms; what is seen stopped again so much later was stopped by somebody else. */
const LOOK_AGAIN_MS = 25;

async function isStill(host: Host, id: string): Promise<boolean> {
  const cgroup = cgroupOf(host, id);
  if (!cgroup.isFrozen()) return false;
  if (!isPaused(host, id)) await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
  return cgroup.isFrozen();
}

/** The state and the figures of one sandbox; `absent` where nothing of it is there. */
export async function inspectSandbox(host: Host, ref: Ref): Promise<Observed | "absent"> {
  const record = directoryOf(host, ref.id).read();
  if (record === undefined || record.spec.generation !== ref.generation) return "absent";
  if (record.init === undefined && record.suspended !== true) return "absent";
  const cgroup = cgroupOf(host, ref.id);
  const slot = host.pool.live().get(ref.id);
  const disk = slot?.directory === undefined || !mountPoints().has(slot.directory) ? undefined : diskUsage(slot);
  const usage: Observed["usage"] = {
    cpu_seconds: cgroup.cpuSeconds() ?? null,
    memory_bytes: cgroup.memoryBytes() ?? null,
    memory_peak_bytes: cgroup.memoryPeakBytes() ?? null,
    disk_bytes: disk?.bytes ?? null,
    inodes: disk?.inodes ?? null,
    pids: cgroup.pids() ?? null,
    oom_kills: cgroup.oomKills() ?? null,
  };
  if (record.init === undefined || (record.suspended === true && !isAlive(record.init))) return { state: "suspended", usage };
  if (isAlive(record.init)) return { state: (await isStill(host, ref.id)) ? "paused" : "running", usage };
  return { state: "stopped", stoppedBecause: whyStopped(record, usage.oom_kills ?? 0), usage };
}

/** Its first process sleeps on the monotonic clock: so the time that it lived is what tells, not the date. */
function whyStopped(record: SandboxRecord, oomKills: number): NonNullable<Observed["stoppedBecause"]> {
  if (livedSeconds(record) >= (record.lifeSeconds ?? Infinity)) return "expired";
  return oomKills > 0 ? "oom" : "unknown";
}

/** Since its first process started: uptime less the start, in USER_HZ ticks, which is 100 on every Linux that Node runs on. */
function livedSeconds({ init }: SandboxRecord): number {
  if (init === undefined) return 0;
  return Number(readFileSync("/proc/uptime", "utf8").split(" ")[0]) - init.startTicks / 100;
}

import { existsSync, rmSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { type Created, type Op, type Ref, SandboxerError } from "../../contract/index.ts";
import { throwIfAborted } from "./abort.ts";
import { createOn } from "./create.ts";
import { endProcesses } from "./destroy.ts";
import { mountPoints } from "./disk/image.ts";
import { liveRecord } from "./exec.ts";
import { cgroupOf, directoryOf, type Host, restMarker, scratchOf } from "./host.ts";
import { REMOVAL, type SandboxRecord } from "./record.ts";
import { runOk } from "./run.ts";

/** The steps at which a test may kill the control plane. */
export const REST_FAILPOINTS = [
  "local.pause.after_marker",
  "local.suspend.after_record",
  "local.suspend.after_end",
  "local.wake.after_disk",
  "local.wake.after_run",
] as const;

/** How long the kernel may take to stop what runs: a process in the middle of a disk write can hold out. */
const FROZEN_WITHIN_MS = 5_000;

/**
 * Stops everything in a sandbox at once, by its control group: under 1 ms where nothing is in the kernel. The marker comes first: whoever
 * ends a command's tree, which takes a freeze of its own, then does not let go of it.
 *
 * @throws SandboxerError `sandbox_not_found`, `backend_unavailable` where something in it does not stop; it then runs on.
 */
export async function pauseSandbox(host: Host, ref: Ref, op: Op): Promise<void> {
  throwIfAborted(op.signal);
  liveRecord(host, ref);
  const cgroup = cgroupOf(host, ref.id);
  const marker = restMarker(host, ref.id);
  writeFileSync(marker, "", { mode: 0o600 });
  host.failpoint("local.pause.after_marker");
  const deadline = Date.now() + FROZEN_WITHIN_MS;
  for (cgroup.freeze(true); !cgroup.isFrozen(); cgroup.freeze(true)) {
    if (Date.now() < deadline) {
      await sleep(1);
      continue;
    }
    rmSync(marker, { force: true });
    cgroup.freeze(false);
    throw new SandboxerError("backend_unavailable", "something in the sandbox does not stop", { phase: "pause", backend: host.backend });
  }
}

/** Lets go of it. Safe to repeat. */
export async function resumeSandbox(host: Host, ref: Ref, op: Op): Promise<void> {
  throwIfAborted(op.signal);
  liveRecord(host, ref);
  rmSync(restMarker(host, ref.id), { force: true });
  cgroupOf(host, ref.id).freeze(false);
}

function recordOf(host: Host, ref: Ref): SandboxRecord {
  const record = directoryOf(host, ref.id).read();
  // One of which not even its slot is known was never made.
  if (record === undefined || record.spec.generation !== ref.generation || record.slot < 0)
    throw new SandboxerError("sandbox_not_found", `sandbox ${ref.id} is not on this host`, { backend: host.backend });
  return record;
}

/**
 * Ends everything in a sandbox and takes away all that it has on this host but its record and its disk. What was killed half-way, or ended
 * with the host, is finished by doing it again.
 *
 * @throws SandboxerError `sandbox_not_found`, `backend_unavailable` where something could not be confirmed gone.
 */
export async function suspendSandbox(host: Host, ref: Ref): Promise<void> {
  const directory = directoryOf(host, ref.id);
  const record = recordOf(host, ref);
  directory.write({ ...record, suspended: true });
  host.failpoint("local.suspend.after_record");
  await endProcesses(host, ref.id, record.init);
  host.failpoint("local.suspend.after_end");
  const disk = host.pool.live().get(ref.id)?.directory;
  // So that a power cut from here on takes nothing of it. After a reboot it is not mounted, and there is nothing to write.
  if (disk !== undefined && mountPoints().has(disk)) await runOk(["sync", "-f", disk]);
  host.network.pool.release(ref.id);
  await rm(scratchOf(host, ref.id), REMOVAL);
  rmSync(restMarker(host, ref.id), { force: true });
  const { init: _init, lifeSeconds: _life, ...kept } = record;
  directory.write({ ...kept, suspended: true });
}

/** Makes it run again, on its disk, under the same runtime where that is still there. As confined as a new one, or it throws and is suspended. */
export async function wakeSandbox(host: Host, ref: Ref, op: Op): Promise<Created> {
  throwIfAborted(op.signal);
  await suspendSandbox(host, ref);
  const record = recordOf(host, ref);
  const slot = await host.pool.reopen(ref.id, record.slot, {
    bytes: record.spec.resources.diskBytes,
    inodes: record.spec.resources.inodes,
  });
  host.failpoint("local.wake.after_disk");
  try {
    return await createOn(host, record.spec, op, { slot, record });
  } catch (error) {
    await suspendSandbox(host, ref);
    throw error;
  }
}

/** Whether the sandbox is to stand still, whatever its control group says at this moment. */
export function isPaused(host: Host, id: string): boolean {
  return existsSync(restMarker(host, id));
}

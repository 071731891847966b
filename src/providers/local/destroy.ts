import { existsSync, readdirSync, rmdirSync } from "node:fs";
import { rm, rmdir } from "node:fs/promises";
import { join } from "node:path";
import { SandboxerError } from "../../contract/index.ts";
import { Cgroup } from "./cgroup.ts";
import { cgroupOf, cgroupParent, directoryOf, type Host, scratchOf } from "./host.ts";
import { isAlive, processesWith, type ProcessIdentity, signalProcess } from "./process-tree.ts";
import { recordedIds, REMOVAL } from "./record.ts";
import { RUNTIMES, stateNames } from "./runtime.ts";
import { removeEmptyScratch } from "./scratch.ts";

/** The steps at which a test may kill the control plane. */
export const DESTROY_FAILPOINTS = [
  "local.destroy.after_kill",
  "local.destroy.after_delete",
  "local.destroy.after_release",
  "local.destroy.after_namespace",
] as const;

/** How long the kernel may take to end what was killed; a process in the middle of a disk write can hold out. */
const GONE_WITHIN_MS = 10_000;

/**
 * Ends a sandbox and takes away everything it had on this host, or what a create or another destroy left of it. Safe to repeat.
 * Throws `backend_unavailable` where something could not be confirmed gone.
 */
export async function destroySandbox(host: Host, id: string): Promise<"destroyed" | "absent"> {
  const directory = directoryOf(host, id);
  const slot = host.pool.live().get(id);
  const networked = host.network.pool.live().has(id);
  const record = directory.read();
  const stateful = rootsWith(host, id);
  if (
    record === undefined &&
    slot === undefined &&
    !networked &&
    stateful.length === 0 &&
    !existsSync(directory.path) &&
    !cgroupOf(host, id).exists()
  )
    return "absent";

  await endProcesses(host, id, record?.init, () => host.failpoint("local.destroy.after_kill"));
  host.failpoint("local.destroy.after_delete");
  if (slot !== undefined) host.pool.release(slot, id);
  host.failpoint("local.destroy.after_release");
  host.network.pool.release(id);
  host.failpoint("local.destroy.after_namespace");
  await rm(scratchOf(host, id), REMOVAL);
  await directory.remove();
  return "destroyed";
}

/** Also of a runtime that is not used, or not installed, any more. */
function rootsWith(host: Host, id: string): string[] {
  const roots = Object.keys(RUNTIMES).map((name) => join(host.runtimeRoot, name));
  return roots.filter((root) => stateNames(root, id).length > 0);
}

/**
 * Ends everything in a sandbox, and removes its control groups and what a runtime wrote about it: the kernel's own way, since with the first
 * process everything in its pid namespace ends. The runtimes' own delete of a live container waits in steps of 100 ms (runc), up to 2 s
 * (runsc), or leaves the control group behind. What stands still gets its end before it is let go, and runs no more.
 */
export async function endProcesses(
  host: Host,
  id: string,
  init: ProcessIdentity | undefined,
  killed: () => void = () => undefined,
): Promise<void> {
  const cgroup = cgroupOf(host, id);
  if (cgroup.isFrozen()) for (const pid of cgroup.processes() ?? []) killQuietly(pid);
  cgroup.freeze(false);
  if (init === undefined) await endMakers(id);
  else signalProcess(init, "SIGKILL");
  killed();
  await killAll(cgroup, init);
  await removeCgroup(cgroup);
  for (const root of rootsWith(host, id)) await removeState(root, id);
}

/**
 * Removes the parents of this data directory's control groups, and its scratch, where it has no sandbox. Who creates one at this very moment has written its
 * record before: then nothing is done.
 */
export async function removeEmptyGroups(host: Host): Promise<void> {
  if (recordedIds(host.sandboxes).length > 0) return;
  for (const directory of new Cgroup(host.cgroups, cgroupParent(host.instance)).directories()) await rmdir(directory).catch(ignoreUsed);
  await removeEmptyScratch(host.scratch);
}

function ignoreUsed(error: NodeJS.ErrnoException): void {
  if (!["ENOENT", "ENOTEMPTY", "EBUSY"].includes(error.code ?? "")) throw error;
}

/**
 * Ends a runtime that is still making the sandbox. It goes on without whoever started it, even when its first process was
 * killed, and what it made after our look would be nobody's.
 */
async function endMakers(id: string): Promise<void> {
  const deadline = Date.now() + GONE_WITHIN_MS;
  for (let makers = processesWith(["run", "--detach", id]); makers.length > 0; makers = processesWith(["run", "--detach", id])) {
    if (Date.now() > deadline)
      throw new SandboxerError("backend_unavailable", "a runtime that makes the sandbox does not end", { phase: "destroy" });
    for (const maker of makers) signalProcess(maker, "SIGKILL");
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

/** Kills what is in the group until nothing is; bounded. */
async function killAll(cgroup: Cgroup, init: ProcessIdentity | undefined): Promise<void> {
  const deadline = Date.now() + GONE_WITHIN_MS;
  for (let pause = 0; ; pause = Math.min(50, pause + 1)) {
    const left = cgroup.processes() ?? [];
    if (left.length === 0 && (init === undefined || !isAlive(init))) return;
    if (Date.now() > deadline)
      throw new SandboxerError("backend_unavailable", `${left.length} processes of the sandbox do not end`, { phase: "destroy" });
    // Whoever is in the middle of a pause may have stopped them again.
    if (pause > 2) cgroup.freeze(false);
    // After the first look: whoever is still there is not in the namespace that died, such as half a create.
    if (pause > 2) for (const pid of left) killQuietly(pid);
    await new Promise((resolve) => (pause === 0 ? setImmediate(resolve) : setTimeout(resolve, pause)));
  }
}

/** A process that is in the sandbox's control group belongs to it, so its id cannot be another's. */
function killQuietly(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
  }
}

/** Removes what a runtime wrote about the sandbox. */
async function removeState(root: string, id: string): Promise<void> {
  for (const name of stateNames(root, id)) await rm(join(root, name), { recursive: true, force: true });
}

/** Removes what the runtime left of the sandbox's control groups, innermost first. */
async function removeCgroup(cgroup: Cgroup): Promise<void> {
  for (const directory of cgroup.directories()) await removeGroupDirectory(directory);
}

async function removeGroupDirectory(directory: string): Promise<void> {
  for (let attempt = 0; existsSync(directory); attempt++) {
    for (const entry of readdirSync(directory, { withFileTypes: true })) {
      if (entry.isDirectory()) await removeGroupDirectory(join(directory, entry.name));
    }
    try {
      rmdirSync(directory);
    } catch (error) {
      const code = error instanceof Error && "code" in error ? error.code : undefined;
      if (code === "ENOENT") return;
      // The last process has ended but the kernel has not let go of it yet.
      if (code !== "EBUSY" || attempt > 200) throw error;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
}

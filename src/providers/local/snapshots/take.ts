import { chownSync, lchownSync, lstatSync, readdirSync, rmSync, statfsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { newId, type Op, type Ref, SandboxerError } from "../../../contract/index.ts";
import type { Cgroup } from "../cgroup.ts";
import { diskUsage } from "../disk/pool.ts";
import { idBase, IDS_PER_SANDBOX, type Slot, WRITABLE } from "../disk/slot.ts";
import { execCommand, liveRecord } from "../exec.ts";
import { cgroupOf, type Host } from "../host.ts";
import type { SandboxRecord } from "../record.ts";
import { isPaused } from "../rest.ts";
import { runOk } from "../run.ts";
import { RUNTIMES } from "../runtime.ts";
import { HELPERS } from "../skeleton.ts";
import { manifestOf } from "./manifest.ts";
import type { SnapshotRecord } from "./store.ts";

/** The steps at which a test may kill the control plane. */
export const SNAPSHOT_FAILPOINTS = ["local.snapshot.after_freeze", "local.snapshot.before_rename", "local.snapshot.after_rename"] as const;

const KEEP_FREE_BYTES = 256 * 1024 ** 2;

/** Names are bytes: not all are text. */
const SLASH = Buffer.from("/");

/** The kernel freezes in the background: this many looks, 1 ms apart. */
const FREEZE_LOOKS = 2000;

/** A copy of this many milliseconds hangs. */
const COPIES_WITHIN_MS = 3_600_000;

/**
 * Keeps what a sandbox has written. It stands still while that is copied and no longer: the cost is what it has written since it was made or
 * restored, not what it came from. Safe to repeat on `id`.
 */
export async function takeSnapshot(host: Host, ref: Ref, { id, tenant }: { id: string; tenant: string }, op: Op): Promise<SnapshotRecord> {
  const known = host.snapshots.look(id);
  if (known !== undefined) return known;
  const record = liveRecord(host, ref);
  const slot = host.pool.live().get(ref.id);
  if (slot?.directory === undefined)
    throw new SandboxerError("capability_unsupported", "a sandbox whose files are in memory cannot be kept", { phase: "snapshot", backend: host.backend });
  checkRoom(host, slot);
  const draft = await host.snapshots.draft(id, ref.id);
  const tree = join(draft, "fs");
  try {
    // gVisor keeps what was written to itself for a while.
    if (!RUNTIMES[record.runtime].hostProcesses) await sync(host, ref, op);
    await whileStill(cgroupOf(host, ref.id), () => isPaused(host, ref.id), async () => {
      host.failpoint("local.snapshot.after_freeze");
      await copy(sourcesOf(record, slot.directory ?? ""), tree, op.signal);
    });
    op.signal.throwIfAborted();
    takeOwners(Buffer.from(tree), idBase(slot.number), isOverlay(record));
    const { text, digest, bytes, entries } = await manifestOf(tree);
    const made: SnapshotRecord = { id, tenant, parents: record.snapshots ?? [], ...(record.image === undefined ? {} : { image: record.image }), digest, bytes, entries };
    host.failpoint("local.snapshot.before_rename");
    await host.snapshots.keep(draft, made, text);
    host.failpoint("local.snapshot.after_rename");
    return made;
  } catch (error) {
    await rm(draft, { recursive: true, force: true });
    throw error;
  }
} // prettier-ignore

/** Whether what it writes stands above layers. */
export function isOverlay({ image, snapshots }: SandboxRecord): boolean {
  return image !== undefined || snapshots !== undefined;
}

function sourcesOf(record: SandboxRecord, directory: string): string[] {
  // With what the directory itself is: a path that is joined would lose its dot.
  return isOverlay(record) ? [`${directory}/upper/.`] : Object.keys(WRITABLE).map((name) => join(directory, name));
}

function checkRoom({ snapshots, sandboxes }: Host, slot: Slot): void {
  const { bavail, bsize } = statfsSync(sandboxes);
  const used = diskUsage(slot)?.bytes ?? 0;
  if (bavail * bsize < used + KEEP_FREE_BYTES)
    throw new SandboxerError("storage_unavailable", `there is no room for it on the disk that holds ${snapshots.root}`, {
      phase: "snapshot",
    });
}

async function sync(host: Host, ref: Ref, op: Op): Promise<void> {
  const command = { id: newId("exec"), run: { argv: [`${HELPERS}/busybox`, "sync"] }, timeoutMs: 60_000 };
  for await (const event of execCommand(host, ref, command, { stdin: { kind: "none" }, maxOutputBytes: 4096 }, op)) void event;
}

/** Does something while nothing in the sandbox runs. One that was paused, or is paused meanwhile, stands still after it. */
async function whileStill(cgroup: Cgroup, stoodStill: () => boolean, work: () => Promise<void>): Promise<void> {
  if (!cgroup.freeze(true)) throw new SandboxerError("backend_unavailable", "the sandbox cannot be held still: it has no freezer", { phase: "snapshot" });
  try {
    for (let look = 0; !cgroup.isFrozen(); look++) {
      if (look === FREEZE_LOOKS) throw new SandboxerError("backend_unavailable", "the sandbox does not stand still", { phase: "snapshot" });
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    await work();
  } finally {
    if (!stoodStill()) cgroup.freeze(false);
  }
} // prettier-ignore

/** As it is: owners, times, links, holes, and what the overlay keeps with it. */
async function copy(sources: readonly string[], tree: string, signal: AbortSignal): Promise<void> {
  await runOk(["cp", "-a", "--reflink=auto", "--sparse=auto", "--", ...sources, tree], { timeoutMs: COPIES_WITHIN_MS, signal });
}

/**
 * Gives everything the owners that it has inside, so that it stands in whatever sandbox comes of it. Takes out what is no file: devices, but
 * the overlay's own marks.
 */
function takeOwners(path: Buffer, base: number, marks: boolean): void {
  const stats = lstatSync(path);
  if (stats.isBlockDevice() || (stats.isCharacterDevice() && !(marks && stats.rdev === 0))) return rmSync(path);
  // One below them was given before, by another name of the same file.
  const inside = (id: number): number => (id >= base && id < base + IDS_PER_SANDBOX ? id - base : id < IDS_PER_SANDBOX ? id : 0);
  (stats.isSymbolicLink() ? lchownSync : chownSync)(path, inside(stats.uid), inside(stats.gid));
  if (stats.isDirectory())
    for (const name of readdirSync(path, { encoding: "buffer" })) takeOwners(Buffer.concat([path, SLASH, name]), base, marks);
}

import { readFileSync } from "node:fs";
import { chmod, chown, mkdir, open, rename, rm, rmdir } from "node:fs/promises";
import { join } from "node:path";
import { SandboxerError } from "../../../contract/index.ts";
import { run, runOk } from "../run.ts";
import { idBase, type Quota, WRITABLE } from "./slot.ts";

/**
 * A slot's disk: a sparse file with an ext4 of exactly the quota's size and inodes, mounted through a loop device. The
 * file takes from the host what is written and gives back what is deleted (`discard`); throwing it away costs the same
 * for ten files and for a million.
 */

const MKFS = [
  "mkfs.ext4", "-q", "-F", "-m", "0",
  // No journal: a disk does not outlive its sandbox's crash, and a journal would count against the quota.
  "-O", "^has_journal,^resize_inode,sparse_super2",
  // A new sparse file reads as zeros, so there is nothing to zero now or later.
  "-E", "lazy_itable_init=1,nodiscard,assume_storage_prezeroed=1",
]; // prettier-ignore

const MOUNT_OPTIONS = "loop,discard,noatime,nosuid,nodev,noinit_itable";

/** An ext4 keeps about this much for itself beside the inode table (256 bytes an inode). */
const OVERHEAD_BYTES = 4 * 1024 ** 2;

/** Inodes that an empty ext4 uses: 10 reserved, lost+found, and our own directories. */
const OVERHEAD_INODES = 11 + Object.keys(WRITABLE).length;

/** The mount points in this process's mount namespace. Throws where the table cannot be read. */
export function mountPoints(): Set<string> {
  const lines = readFileSync("/proc/self/mountinfo", "utf8").split("\n");
  return new Set(lines.map((line) => line.split(" ")[4] ?? "").map((path) => path.replaceAll("\\040", " ")));
}

/** An empty disk for that quota, to be copied: some 10 ms. Made under a draft name, so that it is whole or not there. */
export async function makeTemplate(file: string, quota: Quota): Promise<void> {
  const draft = `${file}.${process.pid}.draft`;
  try {
    const handle = await open(draft, "w", 0o600);
    await handle.truncate(quota.bytes + (quota.inodes + OVERHEAD_INODES) * 256 + OVERHEAD_BYTES);
    await handle.close();
    await runOk([...MKFS, "-N", String(quota.inodes + OVERHEAD_INODES), draft]);
    await rename(draft, file);
  } finally {
    await rm(draft, { force: true });
  }
}

/** Makes and mounts a slot's disk: about 20 ms, nearly all of it waiting for the kernel's loop device. */
export async function mountDisk(template: string, file: string, mountPoint: string, slotNumber: number, owner: number): Promise<void> {
  await runOk(["cp", "--sparse=always", "--reflink=auto", "--", template, file]);
  await mkdir(mountPoint, { recursive: true, mode: 0o711 });
  await runOk(["mount", "-n", "-t", "ext4", "-o", MOUNT_OPTIONS, file, mountPoint]);
  await chmod(mountPoint, 0o711);
  await rm(join(mountPoint, "lost+found"), { recursive: true });
  for (const name of Object.keys(WRITABLE)) {
    const directory = join(mountPoint, name);
    await mkdir(directory);
    await chmod(directory, name === "vartmp" ? 0o1777 : 0o755);
    await chown(directory, idBase(slotNumber) + owner, idBase(slotNumber) + owner);
  }
}

/**
 * Mounts a disk that was not unmounted in order, as after a reboot. It has no journal, so it is looked through first: some 10 ms, and more
 * with what is on it.
 *
 * @throws SandboxerError `backend_unavailable` where it cannot be repaired.
 */
export async function mountAgain(file: string, mountPoint: string): Promise<void> {
  const checked = await run(["e2fsck", "-p", file], { timeoutMs: 120_000 });
  // 1: faults were found, and corrected.
  if (checked.code !== 0 && checked.code !== 1)
    throw new SandboxerError("backend_unavailable", `the sandbox's disk is damaged: ${checked.stdout.trim().split("\n").at(-1) ?? ""}`, {
      phase: "wake",
    });
  await mkdir(mountPoint, { recursive: true, mode: 0o711 });
  await runOk(["mount", "-n", "-t", "ext4", "-o", MOUNT_OPTIONS, file, mountPoint]);
}

/** Unmounts and deletes a slot's disk: about 3 ms whatever is on it. Safe to repeat. */
export async function discardDisk(file: string, mountPoint: string): Promise<void> {
  while (mountPoints().has(mountPoint)) {
    const unmounted = await run(["umount", "-n", mountPoint]);
    // Another process may throw the same slot away at the same time.
    if (unmounted.code === 0 || !mountPoints().has(mountPoint)) continue;
    // Busy: something the kernel has not let go of yet. Lazily, the mount goes with its last user.
    const lazily = await run(["umount", "-n", "-l", mountPoint]);
    if (lazily.code !== 0 && mountPoints().has(mountPoint)) {
      throw new SandboxerError("backend_unavailable", `${mountPoint} cannot be unmounted: ${lazily.stderr.trim()}`, { phase: "destroy" });
    }
  }
  await rm(file, { force: true });
  await rmdir(mountPoint).catch(ignoreMissing);
}

function ignoreMissing(error: NodeJS.ErrnoException): void {
  if (error.code !== "ENOENT") throw error;
}

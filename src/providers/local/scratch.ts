import { lstatSync, mkdirSync, statfsSync } from "node:fs";
import { rmdir } from "node:fs/promises";
import { join } from "node:path";

/** File systems in memory that hosts have; both are empty after a boot. */
const IN_MEMORY = ["/run", "/dev/shm"];

/** f_type of a tmpfs: statfs(2). */
const TMPFS = 0x01021994;

/**
 * Makes the directory of the small files that live as long as one command, in memory where this host has a place for them: on an
 * ext4 a new file costs up to 1 ms, since inodes that were deleted in the last seconds are passed over one by one, and a
 * command needs five. `name` must be the data directory's own; what stands there survives this process, not the host.
 */
export function scratchDirectory(directory: string, name: string): string {
  for (const base of process.getuid?.() === 0 ? IN_MEMORY : []) {
    const shared = join(base, "sand-boxer");
    if (!isInMemory(base) || !makeOwn(shared)) continue;
    const own = join(shared, name);
    if (makeOwn(own)) return own;
  }
  const own = join(directory, "scratch");
  mkdirSync(own, { recursive: true, mode: 0o700 });
  return own;
}

function isInMemory(path: string): boolean {
  try {
    return statfsSync(path).type === TMPFS;
  } catch (error) {
    if (error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "EACCES")) return false;
    throw error;
  }
}

/** False where somebody else has made it before us: anybody may write to /dev/shm. */
function makeOwn(path: string): boolean {
  try {
    mkdirSync(path, { mode: 0o700 });
    return true;
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    if (code === "EROFS" || code === "EACCES" || code === "ENOSPC") return false;
    if (code !== "EEXIST") throw error;
  }
  const found = lstatSync(path);
  return found.isDirectory() && found.uid === process.getuid?.() && (found.mode & 0o022) === 0;
}

/** Removes it where nothing is in it; whoever needs it again makes it again. */
export async function removeEmptyScratch(scratch: string): Promise<void> {
  for (const path of [join(scratch, "fifos"), scratch]) {
    await rmdir(path).catch((error: NodeJS.ErrnoException) => {
      if (!["ENOENT", "ENOTEMPTY", "EBUSY"].includes(error.code ?? "")) throw error;
    });
  }
}

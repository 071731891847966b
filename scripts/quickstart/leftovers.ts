/** Counts, from the outside and without asking sand-boxer, what a data directory's sandboxes have on this host. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

export interface HostObjects {
  processes: number;
  "control groups": number;
  mounts: number;
  "loop devices": number;
  "sandbox directories": number;
}

export function countHostObjects(dataDir: string): HostObjects {
  const parent = `/sand-boxer/${readFileSync(join(dataDir, "instance"), "utf8").trim()}/`;
  const mountTable = readFileSync("/proc/self/mountinfo", "utf8").split("\n");
  const cgroupRoots = mountTable.filter((row) => / - cgroup2? /.test(row)).map((row) => row.split(" ")[4] ?? "");
  const loops = readdirSync("/sys/block").map((name) => join("/sys/block", name, "loop/backing_file"));
  return {
    processes: readdirSync("/proc").filter((name) => /^\d+$/.test(name) && isRunning(name) && read(`/proc/${name}/cgroup`).includes(parent))
      .length,
    "control groups": cgroupRoots.reduce((sum, root) => sum + directories(join(root, parent)), 0),
    mounts: mountTable.filter((row) => (row.split(" ")[4] ?? "").startsWith(`${dataDir}/`)).length,
    "loop devices": loops.filter((file) => read(file).startsWith(`${dataDir}/`)).length,
    "sandbox directories": directories(join(dataDir, "backends/local/sandboxes")),
  };
}

/** A zombie has ended: it is the exit code that the host's own first process has yet to collect. */
function isRunning(pid: string): boolean {
  return /\) [^ZX] /.test(read(`/proc/${pid}/stat`));
}

function directories(path: string): number {
  return existsSync(path) ? readdirSync(path, { withFileTypes: true }).filter((entry) => entry.isDirectory()).length : 0;
}

/** Empty for what is not there, and for a process that ended between the listing and the look. */
function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (thrown) {
    const { code } = thrown as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ESRCH") return "";
    throw thrown;
  }
}

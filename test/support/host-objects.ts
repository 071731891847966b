import { existsSync, readdirSync, readFileSync, realpathSync, statSync } from "node:fs";
import { join } from "node:path";

/**
 * What this host has of one data directory, by looking at the kernel and the disk: nothing of the project's own code is
 * asked. The oracle of "nothing is left" and of "the host equals the database".
 */
export interface HostObjects {
  /** Ids of the sandboxes that have processes in a control group of theirs. */
  readonly running: readonly string[];
  /** Ids that have a control group, in any hierarchy. */
  readonly groups: readonly string[];
  /** Ids that an OCI runtime has state of. */
  readonly states: readonly string[];
  /** Ids that have a directory, on disk or in memory. */
  readonly directories: readonly string[];
  /** Ids that hold a slot. */
  readonly slots: readonly string[];
  /** Slots that are mounted, have a loop device, have a disk file, or a reserved number: each list must equal `expected`. */
  readonly disks: {
    readonly mounted: string[];
    readonly looped: string[];
    readonly files: string[];
    readonly numbers: string[];
    readonly expected: string[];
  };
  /** Ids that hold a network namespace. */
  readonly networks: readonly string[];
  /** Network namespaces that are mounted, or have a file to be mounted on: each list must equal `expected`. */
  readonly namespaces: { readonly mounted: string[]; readonly files: string[]; readonly expected: string[] };
  /** Released slots and namespaces that were not thrown away yet. */
  readonly bin: readonly string[];
  /** Ids that files of running commands are kept for. */
  readonly scratch: readonly string[];
  /** Host processes outside of the sandboxes that work for this data directory: runtimes, shims. */
  readonly helpers: readonly string[];
}

function names(directory: string): string[] {
  try {
    return readdirSync(directory).sort();
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return [];
    throw error;
  }
}

function directoriesIn(directory: string): string[] {
  return names(directory).filter((name) => statSync(join(directory, name), { throwIfNoEntry: false })?.isDirectory() === true);
}

/** Mount points of every control group hierarchy. */
export function cgroupRoots(): string[] {
  const lines = readFileSync("/proc/self/mountinfo", "utf8").split("\n");
  return lines.filter((line) => / - cgroup2? /.test(line)).map((line) => line.split(" ")[4] ?? "");
}

/** Mount points below a directory, outermost first. */
export function mountsBelow(directory: string): string[] {
  const lines = readFileSync("/proc/self/mountinfo", "utf8").split("\n");
  return lines.map((line) => (line.split(" ")[4] ?? "").replaceAll("\\040", " ")).filter((path) => path === directory || path.startsWith(`${directory}/`)); // prettier-ignore
}

/** Host ids of the processes in a sandbox's control groups. */
export function sandboxProcesses(dataDir: string, id: string): number[] {
  const pids = new Set<number>();
  for (const root of cgroupRoots()) {
    const file = join(root, "sand-boxer", instanceOf(dataDir), id, "cgroup.procs");
    for (const pid of read(file).split("\n")) if (pid !== "" && pid !== "0") pids.add(Number(pid));
  }
  return [...pids].sort((a, b) => a - b);
}

/** A file's text; empty where it is not there, or its process has gone. */
export function read(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ENODEV" || error.code === "ESRCH"))
      return "";
    throw error;
  }
}

function instanceOf(dataDir: string): string {
  return read(join(dataDir, "instance")).trim();
}

/** Where the files of a sandbox's running commands stand. */
export function scratchOf(dataDir: string, id: string, backend = "local"): string {
  const own = `sand-boxer/${instanceOf(dataDir)}.${backend}`;
  const inMemory = ["/run", "/dev/shm"].map((base) => join(base, own)).find((path) => existsSync(path));
  return join(inMemory ?? join(realpathSync(dataDir), "backends", backend, "scratch"), id);
}

function loopedFiles(directory: string): string[] {
  const backing = names("/sys/block").filter((name) => name.startsWith("loop")).map((name) => read(`/sys/block/${name}/loop/backing_file`).trim()); // prettier-ignore
  // One of a deleted file goes with its last mount, a moment later; a mount that stays is seen among the mounts.
  return backing.filter((path) => path.startsWith(`${directory}/`) && !path.endsWith(" (deleted)"));
}

/** Processes whose command line names the data directory or its place in memory, but this one and its children that hold it as an argument. */
function helperProcesses(dataDir: string, inside: ReadonlySet<number>): string[] {
  const found: string[] = [];
  const places = [dataDir, ...scratchDirectories(dataDir)];
  for (const pid of names("/proc").filter((name) => /^\d+$/.test(name))) {
    // A fork of ours shows its arguments as one text.
    const words = read(`/proc/${pid}/cmdline`).split(/[\0 ]/);
    if (inside.has(Number(pid)) || Number(pid) === process.pid || words[0] === process.execPath) continue;
    if (words.some((word) => places.some((place) => word.startsWith(place)))) found.push(`${pid} ${words.slice(0, 4).join(" ")}`);
  }
  return found;
}

/** Where the local provider may keep what lives as long as one command. */
export function scratchDirectories(dataDir: string, backend = "local"): string[] {
  const own = `${instanceOf(dataDir)}.${backend}`;
  return [join("/run/sand-boxer", own), join("/dev/shm/sand-boxer", own), join(dataDir, "backends", backend, "scratch")];
}

/** Counts everything. `backend` is the backend's name in the configuration. */
export function hostObjects(dataDir: string, backend = "local"): HostObjects {
  const base = join(realpathSync(dataDir), "backends", backend);
  const instance = instanceOf(dataDir);
  if (instance === "") throw new Error(`${dataDir} has no instance`);
  const groups = [...new Set(cgroupRoots().flatMap((root) => directoriesIn(join(root, "sand-boxer", instance))))].sort();
  const inside = new Map(groups.map((id) => [id, sandboxProcesses(dataDir, id)] as const));
  const states = names(join(base, "runtimes")).flatMap((runtime) => names(join(base, "runtimes", runtime)).map((name) => name.split("_sandbox:")[0] ?? name)); // prettier-ignore
  const slots = names(join(base, "slots", "live")).map((name) => name.split("."));
  const ready = names(join(base, "slots", "ready")).flatMap((key) => names(join(base, "slots", "ready", key)));
  const disks = join(base, "slots", "disks");
  const network = join(base, "network", "namespaces");
  const namespaces = join(network, "mounts");
  const networks = names(join(network, "live")).map((name) => name.split("."));
  const number = (path: string): string => path.slice(disks.length + 1).replace(/\.img$/, "");
  return {
    running: groups.filter((id) => (inside.get(id) ?? []).length > 0),
    groups,
    states: [...new Set(states)].sort(),
    directories: [
      ...new Set([...names(join(base, "sandboxes")), ...names(scratchOf(dataDir, ".", backend)).filter((name) => name !== "fifos")]),
    ].sort(),
    slots: slots.map(([, id = ""]) => id).sort(),
    disks: {
      mounted: mountsBelow(disks).map(number).sort(),
      looped: loopedFiles(disks).map(number).sort(),
      files: names(disks).filter((name) => name.endsWith(".img")).map((name) => name.slice(0, -4)).sort(), // prettier-ignore
      numbers: names(join(base, "slots", "numbers")),
      expected: [...ready, ...slots.map(([slot = ""]) => slot)].sort(),
    },
    networks: networks.map(([, id = ""]) => id).sort(),
    namespaces: {
      mounted: mountsBelow(namespaces).map((path) => path.slice(namespaces.length + 1)).sort(), // prettier-ignore
      files: names(namespaces),
      expected: [...names(join(network, "ready")), ...networks.map(([name = ""]) => name)].sort(),
    },
    bin: [...names(join(base, "slots", "bin")), ...names(join(network, "bin"))],
    scratch: scratchDirectories(dataDir, backend).flatMap((path) => names(path)).filter((name) => name.startsWith("sb")).sort(), // prettier-ignore
    helpers: helperProcesses(dataDir, new Set([...inside.values()].flat())),
  };
}

/** What {@link hostObjects} must show where exactly these sandboxes live, and none has a background process. */
export function exactly(ids: readonly string[], seen: HostObjects): HostObjects {
  const { expected } = seen.disks;
  const all = [...ids].sort();
  return {
    running: all, groups: all, states: all, directories: all, slots: all, bin: [], helpers: [],
    // Made with a sandbox's first command.
    scratch: seen.scratch.filter((id) => ids.includes(id)),
    // Only those with egress.
    networks: seen.networks.filter((id) => ids.includes(id)),
    namespaces: { mounted: seen.namespaces.expected, files: seen.namespaces.expected, expected: seen.namespaces.expected },
    disks: { mounted: expected, looped: expected, files: expected, numbers: expected, expected },
  }; // prettier-ignore
}

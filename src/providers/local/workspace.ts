import { chownSync, lstatSync, mkdirSync, readFileSync, realpathSync, statSync, writeFileSync } from "node:fs";
import type { Stats } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { type ErrorCode, forbiddenPlace, isBelow, type MountedWorkspace, SandboxerError } from "../../contract/index.ts";
import { idBase, type Slot } from "./disk/slot.ts";
import { WORKDIR } from "./oci-process.ts";
import type { SandboxDirectory } from "./record.ts";

/** Beside the sources and beside the build alike. */
const MOUNTER = fileURLToPath(new URL("../../../native/mount-workspace.pl", import.meta.url));

/** A host directory as it is mounted at one sandbox's workspace. */
export interface WorkspaceMount {
  /** What the bundle mounts: nothing is there but in the mount namespace that the runtime is started in. */
  readonly source: string;
  readonly readOnly: boolean;
  /** What stands over something in it, there too. */
  readonly covers: readonly { readonly name: string; readonly fresh: boolean }[];
  /** The command line that starts the runtime's where the directory is mounted. */
  readonly around: (argv: readonly string[], log: string) => string[];
  /** What of it the sandbox whose first process that is does not have; empty when all is as it should be. */
  readonly missing: (pid: number) => string[];
  readonly note: string;
}

function refused(code: ErrorCode, path: string, message: string, hint?: string): SandboxerError {
  return new SandboxerError(code, `${path}: ${message}`, {
    phase: "create",
    issues: [{ path, message }],
    ...(hint === undefined ? {} : { hint }),
  });
}

const existing = (path: string) => lstatSync(path, { throwIfNoEntry: false });

/** The data directory that a provider's own directory is in. */
function dataDirectoryOf(sandboxes: string): string {
  const own = dirname(sandboxes);
  return basename(dirname(own)) === "backends" ? dirname(dirname(own)) : own;
}

/** What is mounted somewhere below a directory. Such places would show what the mount hides, or be shown themselves. */
function mountsBelow(path: string): string[] {
  return mountPoints("/proc/self/mountinfo").flatMap(({ at }) => (at !== path && isBelow(at, path) ? [at] : []));
}

/** Mount points of a mountinfo, with their options: proc(5). */
function mountPoints(table: string): { at: string; options: string[] }[] {
  return readFileSync(table, "latin1").split("\n").flatMap((line) => {
    const [, , , , at, options] = line.split(" ");
    if (at === undefined || options === undefined) return [];
    const bytes = at.replaceAll(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
    return [{ at: Buffer.from(bytes, "latin1").toString(), options: options.split(",") }];
  }); // prettier-ignore
}

/** A host directory that was looked at, as it was then. */
export interface LookedAt {
  readonly workspace: MountedWorkspace;
  readonly stat: Stats;
}

/**
 * Looks whether a host directory may be a workspace, before anything is made.
 *
 * @throws SandboxerError `policy_denied`, `invalid_request` or `capability_unsupported` naming the field.
 */
export function lookAtWorkspace(workspace: MountedWorkspace, host: { sandboxes: string; disks: boolean; gvisor: boolean }): LookedAt {
  const { path, as_owner, shadow } = workspace;
  const place = forbiddenPlace(path, [realpathSync(dataDirectoryOf(host.sandboxes))]);
  if (place !== undefined)
    throw refused("policy_denied", "workspace.path", `${path} is, is in or holds ${place}, which no sandbox may have`);
  const stat = existing(path);
  if (stat?.isDirectory() !== true || realpathSync(path) !== path)
    throw refused(
      "invalid_request",
      "workspace.path",
      `${path} is no directory, or a part of it is a symlink`,
      "Name the directory itself.",
    );
  const [mount] = mountsBelow(path);
  if (mount !== undefined)
    throw refused(
      "invalid_request",
      "workspace.path",
      `something is mounted in it, at ${mount}`,
      "Mount a directory that has no mounts in it.",
    );
  const instead = "set as_owner: false for its root";
  if (as_owner && (stat.uid === 0 || stat.gid === 0))
    throw refused(
      "policy_denied",
      "workspace.path",
      `${path} belongs to root, as whom no sandbox acts`,
      `Give it to its user, or ${instead}.`,
    );
  // gVisor makes files as its own root, of whom the mapping knows nothing; and no filter of ours stands before its set-id bits.
  if (as_owner && host.gvisor)
    throw refused(
      "capability_unsupported", "workspace.path", `${path} is below a root with as_owner, which gVisor cannot give`,
      `Ask for isolation level container, or ${instead}.`,
    ); // prettier-ignore
  for (const [index, name] of shadow.entries()) {
    const field = `workspace.shadow[${index}]`;
    const fresh = name.endsWith("/");
    const there = existing(join(path, name.replace(/\/$/, "")));
    if (there === undefined || there.isSymbolicLink() || (fresh && !there.isDirectory()))
      throw refused(
        "invalid_request", field, `${name} is not there, or a symlink${fresh ? ", or no directory" : ""}: nothing can be put over it`,
        `Make an empty ${fresh ? "directory" : "one"} on the host, or leave it out.`,
      ); // prettier-ignore
    if (fresh && !host.disks) throw refused("capability_unsupported", field, "a fresh directory needs a disk of the sandbox's own");
  }
  return { workspace, stat };
}

/**
 * Prepares a host directory for a sandbox's workspace. Nothing is mounted here: the runtime is started by a program that opens the
 * directory without following a symlink, and mounts what it has opened, in a mount namespace that ends with it.
 */
export function prepareWorkspace(
  { workspace: { path, access, as_owner, shadow }, stat }: LookedAt,
  { directory, slot, user }: { directory: SandboxDirectory; slot: Slot; user: { uid: number; gid: number } },
): WorkspaceMount {
  const base = idBase(slot.number);
  const [source, file, empty] = [directory.file("workspace"), directory.file("empty-file"), directory.file("empty")];
  for (const name of [source, empty]) mkdirSync(name, { recursive: true, mode: 0o555 });
  writeFileSync(file, "", { mode: 0o444 });
  const covers = shadow.flatMap((name, index) => {
    if (!name.endsWith("/")) return [name, ""];
    const place = join(slot.directory ?? "", "workspace", String(index));
    mkdirSync(place, { mode: 0o755 });
    chownSync(place, base + user.uid, base + user.gid);
    return [name.slice(0, -1), place];
  });
  const map = as_owner ? `${stat.uid}:${base + user.uid}:${stat.gid}:${base + user.gid}` : "";
  const readOnly = access === "ro";
  return {
    source,
    readOnly,
    covers: shadow.map((name) => ({ name: name.replace(/\/$/, ""), fresh: name.endsWith("/") })),
    around: (argv, log) => [
      "perl", MOUNTER, process.arch === "arm64" ? "1" : "0", log, source, access, path, String(stat.dev), String(stat.ino), map, file, empty,
      ...covers, "--", ...argv,
    ], // prettier-ignore
    missing: (pid) => missingAt(pid, { readOnly, shadow, device: stat.dev, inode: stat.ino }),
    note: `the workspace is ${path} of the host, ${access}, ${as_owner ? "as its owner" : "as a stranger"}: what is written there counts on the host's disk, not on the sandbox's`,
  };
}

/** Read back from the kernel; the sandbox cannot change what stands at its own mount points. */
function missingAt(pid: number, wanted: { readOnly: boolean; shadow: readonly string[]; device: number; inode: number }): string[] {
  const found = new Map(mountPoints(`/proc/${pid}/mountinfo`).map(({ at, options }) => [at, options]));
  const there = statSync(`/proc/${pid}/root${WORKDIR}`);
  const lacks: string[] = [];
  const options = found.get(WORKDIR);
  if (there.dev !== wanted.device || there.ino !== wanted.inode) lacks.push("the directory it was to have at its workspace");
  for (const option of ["nosuid", "nodev", wanted.readOnly ? "ro" : "rw"])
    if (options?.includes(option) !== true) lacks.push(`${option} at its workspace`);
  for (const name of wanted.shadow) {
    const over = found.get(`${WORKDIR}/${name.replace(/\/$/, "")}`);
    if (over?.includes(name.endsWith("/") ? "rw" : "ro") !== true) lacks.push(`what hides ${name}`);
  }
  return lacks;
}

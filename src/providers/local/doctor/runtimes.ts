import { chmodSync, existsSync, mkdtempSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import type { Finding } from "../../../contract/finding.ts";
import type { IsolationLevel, Logger } from "../../../contract/index.ts";
import { SandboxerError } from "../../../contract/index.ts";
import { removeEmptyGroups } from "../destroy.ts";
import type { Host } from "../host.ts";
import { type OpenedHost, openHost } from "../open-host.ts";
import type { LocalOptions } from "../options.ts";
import type { Probed } from "../probe.ts";
import { RUNTIMES } from "../runtime.ts";
import { flaw, install, well } from "./report.ts";
import { nearestDirectory } from "./storage.ts";

const nothing = (): void => undefined;
const silent: Logger = { debug: nothing, info: nothing, warn: nothing, error: nothing };

/** Starts a sandbox with each runtime, in a place of its own beside the data, and takes all of it away again. Some 0.7 s. */
export async function examineRuntimes(directory: string, options: LocalOptions, root: boolean): Promise<Finding[]> {
  const trial = mkdtempSync(join(nearestDirectory(directory), "doctor-"));
  chmodSync(trial, 0o711);
  const instance = basename(trial);
  let opened: OpenedHost | undefined;
  try {
    opened = await openHost({ ...options, pool: 0 }, { backend: "doctor", directory: trial, instance, log: silent, failpoint: nothing });
    const { host, probed, disks } = opened;
    return [
      ...probed.flatMap((one) => aboutRuntime(one, probed)),
      ...levels(host, root),
      ...egress(host),
      aboutDisks(disks, options, root),
      aboutImages(host),
    ];
  } catch (error) {
    return [flaw("error", "isolation", "no sandbox could be tried", SandboxerError.from(error).message)];
  } finally {
    await opened?.host.pool.emptyBin();
    await opened?.host.network.pool.emptyBin();
    opened?.host.network.dispose();
    opened?.host.fifos.dispose();
    opened?.host.launcher.dispose();
    if (opened !== undefined) await removeEmptyGroups(opened.host);
    rmSync(trial, { recursive: true, force: true });
  }
}

function aboutRuntime({ name, level, runtime, works, reason, notes }: Probed, all: readonly Probed[]): Finding[] {
  const id = `runtime.${name}`;
  if (works) {
    const finding = well(id, `${name} ${runtime?.version ?? ""} works`, runtime?.program);
    return [finding, ...(notes.length === 0 ? [] : [flaw("info", `${id}.notes`, `what to know of ${name}`, notes.join("; "))])];
  }
  // Another one of the same level makes it dispensable.
  const weight = all.some((other) => other.works && other.level === level) ? "info" : "warn";
  if (runtime === undefined) return [flaw(weight, id, `${name} is not there`, reason ?? "", install(RUNTIMES[name].debianPackage))];
  return [flaw(weight, id, `${name} ${runtime.version} does not work here`, reason ?? "")];
}

const PROMISES: Readonly<Record<IsolationLevel, string>> = {
  process: "separates workspaces; not a security boundary",
  container: "confines untrusted code unless the kernel or the runtime has a flaw",
  gvisor: "system calls meet a user-space kernel",
  microvm: "a kernel of its own",
};

function levels(host: Host, root: boolean): Finding[] {
  if (host.unavailable !== undefined) return [flaw("error", "isolation", "no sandbox can be made on this host", host.unavailable)];
  const offered: readonly IsolationLevel[] = root ? ["container", "gvisor"] : ["process"];
  return offered.map((level) => {
    const reached = host.levels.find((one) => one.level === level);
    if (reached !== undefined)
      return well(`isolation.${level}`, `isolation level "${level}" with ${reached.runtime.name}`, PROMISES[level]);
    return flaw(level === "gvisor" ? "info" : "warn", `isolation.${level}`, `isolation level "${level}" is not reached`, PROMISES[level]);
  });
}

/** At which levels sandboxes may reach something. */
function egress({ levels, egressLevels, withoutEgress }: Host): Finding[] {
  return levels.map(({ level, runtime }) => {
    const able = egressLevels.find((one) => one.level === level);
    if (able !== undefined) return well(`egress.${level}`, `network.allow at the level "${level}" with ${able.runtime.name}`);
    const title = `network.allow is refused at the level "${level}"`;
    return flaw(level === "container" ? "warn" : "info", `egress.${level}`, title, withoutEgress.get(runtime.name) ?? "");
  });
}

function aboutImages({ withoutImages }: Host): Finding {
  if (withoutImages === undefined) return well("image.oci", "sandboxes can stand on images", "overlay file systems with mapped owners");
  return flaw("info", "image.oci", "sandboxes stand on this host's own programs only", withoutImages);
}

function aboutDisks(disks: boolean, options: LocalOptions, root: boolean): Finding {
  if (disks) return well("disk.images", "disks with a quota for each sandbox", "disk images over loop devices");
  const detail = "files in sandboxes are in memory, and count against its limit";
  if (options.disk === "tmpfs") return well("disk.images", "disks in memory, as configured", detail);
  if (!root) return flaw("info", "disk.images", "no disks without root", detail);
  return flaw(
    "warn",
    "disk.images",
    "disk images cannot be mounted",
    detail,
    existsSync("/dev/loop-control") ? undefined : "modprobe loop",
  );
}

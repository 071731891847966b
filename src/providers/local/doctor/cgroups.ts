import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Finding } from "../../../contract/finding.ts";
import { type CgroupMounts, findCgroups } from "../cgroup.ts";
import { flaw, well } from "./report.ts";

/** What limits need: without one of these no sandbox is made. `freezer` is part of version 2 itself. */
const NEEDED = ["memory", "cpu", "pids", "freezer"] as const;

/** The control groups: which layout, what is missing, what keeps a runtime from them, what makes them slow. */
export function examineCgroups(root: boolean): Finding[] {
  if (!root) return [];
  const mounts = findCgroups();
  return [layout(mounts), ...leftovers(mounts), ...missing(mounts), ...slowFirstWrite(mounts)];
}

function isHybrid({ version1, version2 }: CgroupMounts): boolean {
  return version2 !== undefined && Object.keys(version1).length > 0;
}

function layout(mounts: CgroupMounts): Finding {
  if (mounts.version2 === undefined && Object.keys(mounts.version1).length === 0) {
    return flaw(
      "error",
      "cgroup.layout",
      "no control groups are mounted",
      "nothing could limit a sandbox's memory, CPU or processes",
      "mount -t cgroup2 none /sys/fs/cgroup",
    );
  }
  if (isHybrid(mounts))
    return well("cgroup.layout", "control groups, versions 1 and 2 at once (hybrid)", `version 2 at ${mounts.version2?.mountPoint}`);
  return well("cgroup.layout", `control groups, version ${mounts.version2 === undefined ? 1 : 2}`, mounts.version2?.mountPoint);
}

/** crun before 1.9 refuses hybrid hosts where a controller is left on version 2. */
function leftovers(mounts: CgroupMounts): Finding[] {
  const left = (mounts.version2?.controllers ?? []).filter((name) => name !== "");
  if (!isHybrid(mounts) || left.length === 0) return [];
  const commands = left.map((name) => `mkdir -p /sys/fs/cgroup/${name} && mount -t cgroup -o ${name} none /sys/fs/cgroup/${name}`);
  const detail = "crun 1.8 refuses to work there; mounted as version 1 they are out of its way until the next boot";
  return [flaw("warn", "cgroup.hybrid", `hybrid control groups with ${left.join(", ")} left on version 2`, detail, commands.join(" && "))];
}

function missing({ version1, version2 }: CgroupMounts): Finding[] {
  const there = (name: (typeof NEEDED)[number]): boolean =>
    version1[name] !== undefined || (version2 !== undefined && (name === "freezer" || version2.controllers.includes(name)));
  const lost = NEEDED.filter((name) => !there(name));
  if (lost.length === 0) return [];
  return [
    flaw(
      "error",
      "cgroup.controllers",
      `control group controllers are missing: ${lost.join(", ")}`,
      "limits that cannot be read back are refused; boot with them enabled (cgroup_enable=memory on some kernels)",
    ),
  ];
}

/** Only said, never done: it holds for the whole host until the next boot, and costs programs that fork a lot a little. */
function slowFirstWrite({ version2 }: CgroupMounts): Finding[] {
  if (version2 === undefined || !existsSync(join(version2.mountPoint, "cgroup.procs"))) return [];
  const line = readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .find((one) => one.split(" ")[4] === version2.mountPoint);
  if (line?.includes("favordynmods") === true) return [];
  const detail = `the first sandbox or command after a pause waits some 12 ms for the kernel; "mount -o remount,favordynmods ${version2.mountPoint}" removes that, for the whole host and until the next boot`;
  return [flaw("info", "cgroup.favordynmods", "control groups favour steady use over quick changes", detail)];
}

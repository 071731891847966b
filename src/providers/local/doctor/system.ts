import { existsSync, readFileSync } from "node:fs";
import type { Finding } from "../../../contract/finding.ts";
import { run } from "../run.ts";
import { flaw, well } from "./report.ts";

const NODE_MAJOR = 24;

/** CAP_SYS_ADMIN in capability.h: mounts and namespaces need it. */
const SYS_ADMIN = 21n;

/** Node, the user, and what the kernel offers. */
export async function examineSystem(root: boolean): Promise<Finding[]> {
  return [node(), user(root), ...userNamespaces(root), seccomp(), ...(await systemd())];
}

function node(): Finding {
  const { node: version } = process.versions;
  if (Number(version.split(".")[0]) >= NODE_MAJOR) return well("node", `Node ${version}`);
  return flaw("error", "node", `Node ${version} is too old`, `${NODE_MAJOR} or later is needed; "npm run quickstart" brings its own`);
}

function user(root: boolean): Finding {
  if (!root) {
    const detail =
      'without root the level is "process": no limits on CPU, memory and processes, and files are in memory; run it as root for "container"';
    return flaw("warn", "user", "not root", detail);
  }
  const effective = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(statusOfThis())?.[1] ?? "0"}`);
  if ((effective & (1n << SYS_ADMIN)) !== 0n) return well("user", "root");
  return flaw(
    "error",
    "user",
    "root without the capability CAP_SYS_ADMIN",
    "nothing can be mounted here, as in an unprivileged container; run it on the host or in a privileged one",
  );
}

function userNamespaces(root: boolean): Finding[] {
  const most = sysctl("user/max_user_namespaces");
  if (!existsSync("/proc/self/ns/user"))
    return [flaw("error", "kernel.userns", "the kernel has no user namespaces", "build or boot one with CONFIG_USER_NS")];
  if (most === "0")
    return [
      flaw(
        "error",
        "kernel.userns",
        "user namespaces are switched off",
        "user.max_user_namespaces is 0",
        "sysctl -w user.max_user_namespaces=15000",
      ),
    ];
  const forbidden = [
    ["kernel/unprivileged_userns_clone", "0", "1"],
    ["kernel/apparmor_restrict_unprivileged_userns", "1", "0"],
  ].filter(([name, bad]) => !root && sysctl(name ?? "") === bad);
  const findings = forbidden.map(([name = "", bad, good]) => {
    const key = name.replace("/", ".");
    return flaw(
      "error",
      "kernel.userns",
      "user namespaces are kept from users that are not root",
      `${key} is ${bad}`,
      `sysctl -w ${key}=${good}`,
    );
  });
  return findings.length > 0 ? findings : [well("kernel.userns", "user namespaces")];
}

function seccomp(): Finding {
  const actions = sysctl("kernel/seccomp/actions_avail")?.split(" ") ?? [];
  if (actions.includes("errno") && /^Seccomp:/m.test(statusOfThis())) return well("kernel.seccomp", "system call filters (seccomp)");
  return flaw("error", "kernel.seccomp", "the kernel has no system call filters", "build or boot one with CONFIG_SECCOMP_FILTER");
}

/** As a service, what stands beside background processes would go with each restart of the service. */
async function systemd(): Promise<Finding[]> {
  if (!existsSync("/run/systemd/system")) return [];
  const unit = /\/([^/]+\.service)$/m.exec(readFileSync("/proc/self/cgroup", "utf8"))?.[1];
  const setting = "set KillMode=process in a service that runs it, or a restart of the service ends the sandboxes' background processes";
  if (unit === undefined || unit.startsWith("user@")) return [well("systemd.killmode", "systemd", setting)];
  const { stdout } = await run(["systemctl", "show", "--property=KillMode", "--value", unit]);
  if (stdout.trim() === "process") return [well("systemd.killmode", `KillMode=process in ${unit}`)];
  return [flaw("warn", "systemd.killmode", `KillMode=${stdout.trim() || "unknown"} in ${unit}`, setting)];
}

function statusOfThis(): string {
  return readFileSync("/proc/self/status", "utf8");
}

/** undefined where this kernel has no such setting. */
function sysctl(name: string): string | undefined {
  const path = `/proc/sys/${name}`;
  return existsSync(path) ? readFileSync(path, "utf8").trim() : undefined;
}

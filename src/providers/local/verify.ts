import { readFileSync, readlinkSync } from "node:fs";

/** Reads back what the kernel really gives a sandbox's first process: what was asked for is not what counts. */

const NAMESPACES = ["pid_for_children", "mnt", "net", "ipc", "uts", "cgroup", "user"];

/** The host's own namespaces do not change while this process lives. */
let ours: Map<string, string> | undefined;

function hostNamespaces(): Map<string, string> {
  ours ??= new Map(NAMESPACES.map((name) => [name, readlinkSync(`/proc/self/ns/${name}`)]));
  return ours;
}

/** Names of the confinements that process `pid` lacks; empty when all hold. Throws where /proc cannot be read. */
export function missingConfinement(pid: number, hostUser: number): string[] {
  const missing: string[] = [];
  const status = new Map(
    readFileSync(`/proc/${pid}/status`, "utf8")
      .split("\n")
      .map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1).trim()] as const),
  );
  if (status.get("Seccomp") !== "2") missing.push("seccomp");
  if (status.get("NoNewPrivs") !== "1") missing.push("no_new_privs");
  for (const name of ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"]) {
    if (!/^0+$/.test(status.get(name) ?? "")) missing.push(name);
  }
  const uids = (status.get("Uid") ?? "").split(/\s+/).map(Number);
  if (!uids.every((uid) => uid === hostUser)) missing.push("its host user");
  for (const [name, link] of hostNamespaces()) {
    if (readlinkSync(`/proc/${pid}/ns/${name}`) === link) missing.push(`namespace ${name}`);
  }
  return missing;
}

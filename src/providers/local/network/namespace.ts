import { statfsSync, statSync } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import { INSIDE } from "../../../contract/index.ts";
import { mountPoints } from "../disk/image.ts";
import { run, runOk } from "../run.ts";

/**
 * A network namespace for a sandbox with egress, held by a mounted file. It has no device but its loopback, and nobody inside has a
 * capability in it. Every IPv4 address is a local one there (AnyIP): TCP to any of them is handed to the
 * boundary's transparent listener, or refused where there is none; all else is dropped. See docs/decisions/0201-egress-without-a-device.md.
 */

/** Loopback traffic is the sandbox's own affair. */
const RULES = `table ip sand-boxer {
  chain in {
    type filter hook prerouting priority mangle; policy accept;
    ip daddr 127.0.0.0/8 accept
    iifname "lo" meta l4proto tcp tproxy to ${INSIDE.address}:${INSIDE.transparentPort} accept
    meta l4proto tcp reject with tcp reset
    drop
  }
}
`;

/** The first port that the sandbox's user may listen on: the boundary's are below. */
const UNPRIVILEGED_FROM = 1024;

const SETUP = `PATH=$PATH:/usr/sbin:/sbin
cd /proc/sys/net
for device in all default lo; do
  if [ -e ipv6 ]; then echo 1 >ipv6/conf/$device/disable_ipv6; fi
done
echo ${UNPRIVILEGED_FROM} >ipv4/ip_unprivileged_port_start
echo 1 0 >ipv4/ping_group_range
ip link set lo up
ip route add local 0.0.0.0/0 dev lo src ${INSIDE.address}
nft -f -`;

/** statfs(2) of a mounted namespace: NSFS_MAGIC. */
const NSFS = 0x6e736673;

/** Programs that making one needs, and the Debian packages that have them. */
export const NETWORK_PROGRAMS = { ip: "iproute2", nft: "nftables", unshare: "util-linux", nsenter: "util-linux", mount: "mount" } as const;

/** Makes one and mounts it on `file`: some 20 ms. Throws `backend_unavailable`, and leaves nothing, where a step of it fails. */
export function makeNamespace(file: string): Promise<void> {
  return whole(file, () => runOk(["unshare", `--net=${file}`, "sh", "-euc", SETUP], { input: RULES }));
}

/** The same with the namespace that process `pid` is in, which must be an empty one: some 20 ms. */
export function holdNamespace(file: string, pid: number): Promise<void> {
  return whole(file, async () => {
    await runOk(["mount", "-n", "--bind", `/proc/${pid}/ns/net`, file]);
    await runOk(["nsenter", `--net=${file}`, "sh", "-euc", SETUP], { input: RULES });
  });
}

async function whole(file: string, make: () => Promise<unknown>): Promise<void> {
  await writeFile(file, "", { mode: 0o600 });
  try {
    await make();
  } catch (error) {
    await discardNamespaces([file]);
    throw error;
  }
}

/** Whether a namespace is mounted on the file; after a reboot none is. */
export function isNamespace(file: string): boolean {
  try {
    return statfsSync(file).type === NSFS;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return false;
    throw error;
  }
}

/** What identifies it: the number in `/proc/<pid>/ns/net` of each process in it. */
export function namespaceInode(file: string): number {
  return statSync(file).ino;
}

/** Unmounts and removes them: about 2 ms for all. A namespace goes with its last process and socket. Safe to repeat. */
export async function discardNamespaces(files: readonly string[]): Promise<void> {
  const mounted = mountPoints();
  const there = files.filter((file) => mounted.has(file));
  // Lazily: whoever is about to look into it holds it for a moment.
  if (there.length > 0) await run(["umount", "-n", "-l", "--", ...there]);
  for (const file of files) {
    // Another process may throw the same one away; what is still mounted cannot be removed (EBUSY), and is said.
    await rm(file, { force: true });
  }
}

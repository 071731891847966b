import { execFileSync } from "node:child_process";

/** What the measurement of the network runs, and the Debian package of each. The bench installs nothing: what is missing is said. */
const NEEDED = { nginx: "nginx", curl: "curl", wrk: "wrk", openssl: "openssl", ip: "iproute2", nft: "nftables", crun: "crun" } as const;

/** Proxies to compare with. */
export const PEERS = { nginx: "nginx libnginx-mod-stream", haproxy: "haproxy", tinyproxy: "tinyproxy" } as const;
export type PeerName = keyof typeof PEERS;

export function isThere(program: string): boolean {
  try {
    execFileSync("sh", ["-c", 'PATH="$PATH:/usr/sbin:/sbin" command -v "$0"', program], { stdio: "ignore" });
    return true;
  } catch {
    // `command` says no by its exit code.
    return false;
  }
}

/** Packages without which nothing of the network can be measured here. */
export function missingPackages(): string[] {
  return Object.entries(NEEDED).filter(([program]) => !isThere(program)).map(([, name]) => name); // prettier-ignore
}

import { execFileSync } from "node:child_process";

/** Addresses of the measurement's own networks. They look public, since private ones are not reached by name, and lead nowhere but to the far end. */
export const ADDRESS = {
  /** The far end: the servers. Reached from this host, as the boundary and the peers reach it. */
  host: "11.22.44.1",
  far: "11.22.44.10",
  /** The near end: a namespace for clients that have no sandbox around them. */
  gateway: "11.22.45.1",
  near: "11.22.45.2",
  /** A cable of their own between the two: namespace and veth alone. */
  nearDirect: "11.22.46.2",
  farDirect: "11.22.46.10",
} as const;

/** Two namespaces, each with a cable to this host, and one between them. */
export class Cables {
  readonly far = `sbxb-far-${process.pid}`;
  readonly near = `sbxb-near-${process.pid}`;
  readonly #made: string[] = [];

  constructor() {
    try {
      for (const name of [this.far, this.near]) {
        ip("netns", "add", name);
        this.#made.push(name);
        ip("-n", name, "link", "set", "lo", "up");
      }
      this.#toHost("f", this.far, ADDRESS.host, ADDRESS.far);
      this.#toHost("n", this.near, ADDRESS.gateway, ADDRESS.near);
      ip("-n", this.near, "link", "add", "direct", "type", "veth", "peer", "name", "direct", "netns", this.far);
      for (const [name, address] of [[this.near, ADDRESS.nearDirect], [this.far, ADDRESS.farDirect]] as const) {
        ip("-n", name, "addr", "add", `${address}/24`, "dev", "direct");
        ip("-n", name, "link", "set", "direct", "up");
      } // prettier-ignore
    } catch (thrown) {
      this.dispose();
      throw thrown;
    }
  }

  #toHost(letter: string, name: string, ours: string, theirs: string): void {
    const device = `sbxb${letter}${process.pid % 1_000_000}`;
    ip("link", "add", device, "type", "veth", "peer", "name", "host", "netns", name);
    ip("addr", "add", `${ours}/24`, "dev", device);
    ip("link", "set", device, "up");
    ip("-n", name, "addr", "add", `${theirs}/24`, "dev", "host");
    ip("-n", name, "link", "set", "host", "up");
  }

  /** Devices go with their namespaces. Nothing may run in them any more. */
  dispose(): void {
    for (const name of this.#made.splice(0)) ip("netns", "del", name);
  }
}

function ip(...args: string[]): void {
  execFileSync("ip", args, { stdio: ["ignore", "ignore", "pipe"] });
}

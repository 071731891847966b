import type { Scale, Stage } from "../stage.ts";
import { Server } from "../server.ts";
import { ADDRESS } from "./cables.ts";
import { FarEnd } from "./far.ts";
import { ANSWER_PORT, FAR, HTTP_PORT, TLS_PORT } from "./names.ts";
import { type Peer, startPeers } from "./peers.ts";
import { direct, type Way } from "./ways.ts";

/** What every measurement of the network has. */
export interface Network {
  readonly stage: Stage;
  readonly server: Server;
  readonly far: FarEnd;
  readonly direct: Way;
  readonly peers: readonly Peer[];
  /** Peers that are not installed. */
  readonly missing: readonly string[];
}

/** Profiles: nothing, passthrough, the same looked into. As many processors as the host has, so that a sandbox's own bound is not what is measured. */
export const PROFILES = { none: "bench-none", through: "bench-through", inspected: "bench-inspected" } as const;

export async function withNetwork<T>(stage: Stage, work: (network: Network) => Promise<T>): Promise<T> {
  await using far = await FarEnd.open();
  const { peers, missing } = await startPeers(far);
  const server = new Server({
    pool: poolFor(stage.scale),
    config: { network: { resolvers: [`${ADDRESS.far}:53`], ca_file: far.caFile } },
    runtimes: ["crun"],
  });
  try {
    await server.start();
    const limits = { connections: 16_384 };
    const rule = { host: FAR, ports: [HTTP_PORT, TLS_PORT] };
    const networks = {
      none: {},
      through: { allow: [rule, { host: "*.test", ports: [ANSWER_PORT] }], limits },
      inspected: { allow: [{ ...rule, tls: "inspect" }], limits },
    };
    for (const [name, network] of Object.entries(networks)) {
      await server.client.json("POST", "/v1/profiles", {
        kind: "profile", name: PROFILES[name as keyof typeof PROFILES], version: 1, resources: { cpu: 2, memory: "1GiB" }, lifetime: { ttl: "1h" }, network,
      }); // prettier-ignore
    }
    return await work({ stage, server, far, direct: direct(far), peers, missing });
  } finally {
    await server.dispose();
  }
}

function poolFor({ creates }: Scale): number {
  return Math.min(64, creates * 2 + 8);
}

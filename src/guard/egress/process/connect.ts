import type { Boundary, EgressInside, NetworkVerdict } from "../../../contract/network.ts";
import { Link } from "./link.ts";
import type { BoundaryConfig } from "./wire.ts";

export interface ConnectOptions extends BoundaryConfig {
  /** `ip:port` of what no sandbox may reach whatever its rules say: where the control plane listens. 0.0.0.0 is every address of the host. */
  readonly closed?: readonly string[];
}

/**
 * The boundary of a data directory: a process of its own, started where none runs, and again whenever it dies while this is open. A configuration
 * that differs from the running one's restarts it, which ends open connections.
 *
 * @throws SandboxerError `backend_unavailable` where it does not answer.
 */
export async function connectBoundary(dataDirectory: string, { closed = [], ...config }: ConnectOptions = {}): Promise<Boundary> {
  const link = new Link(dataDirectory, config, closed);
  await link.ask({ verb: "sessions" });
  return {
    prepare: async (session) => (await link.ask({ verb: "prepare", session })) as EgressInside,
    attach: async (sandbox, namespace) => void (await link.ask({ verb: "attach", sandbox, namespace })),
    update: async (sandbox, policy) => (await link.ask({ verb: "update", sandbox, policy })) as { closed: number },
    review: async (sandbox, policy) => (await link.ask({ verb: "review", sandbox, policy })) as { closed: number },
    protect: (addresses) => link.protect(addresses),
    secrets: async (sandbox, secrets) => void (await link.ask({ verb: "secrets", sandbox, secrets })),
    remove: async (sandbox) => void (await link.ask({ verb: "remove", sandbox })),
    sessions: async () => (await link.ask({ verb: "sessions" })) as { id: string; generation: number; attached: boolean }[],
    traffic: async (sandbox) =>
      (await link.ask({ verb: "traffic", sandbox })) as { bytesUp: number; bytesDown: number; open: number } | undefined,
    verdicts: async (cursor, limit) =>
      (await link.ask({ verb: "verdicts", cursor, limit })) as { entries: NetworkVerdict[]; cursor: string },
    close: () => link.close(),
  };
}

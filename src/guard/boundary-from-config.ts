import { resolve } from "node:path";
import type { Boundary, Config } from "../contract/index.ts";

/** Where the server listens unless it is told otherwise. */
const DEFAULT_PORT = 8420;

/**
 * How to get the boundary of a data directory: connects, and starts its process where none runs. Loaded with the first sandbox that
 * has egress. Where the control plane listens by its configuration is closed to all sandboxes.
 */
export function boundaryFrom(dataDirectory: string, { network = {}, listen = {} }: Config): () => Promise<Boundary> {
  const { resolvers, ca_file: caFile } = network;
  return async () => {
    const { connectBoundary } = await import("./egress/index.ts");
    return connectBoundary(dataDirectory, {
      ...(resolvers === undefined ? {} : { resolvers }),
      ...(caFile === undefined ? {} : { caFile: resolve(dataDirectory, caFile) }),
      closed: [`${listen.host ?? "127.0.0.1"}:${listen.port ?? DEFAULT_PORT}`],
    });
  };
}

import { duplexPair } from "node:stream";
import { SandboxerError, type Ports } from "../../contract/index.ts";
import type { Reach } from "./processes.ts";

/** Connections to what `httpd` serves inside. */
export function fakePorts(reach: Reach): Ports {
  return {
    async connect(ref, port, op) {
      const { listeners } = await reach(ref, op);
      const accept = listeners.get(port);
      if (accept === undefined) throw new SandboxerError("not_found", `nothing listens on port ${port}`);
      const [near, far] = duplexPair();
      // The pair ends as one, as the two ends of a connection do.
      near.once("close", () => far.destroy());
      far.once("close", () => near.destroy());
      accept(far);
      return near;
    },
  };
}

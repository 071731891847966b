import type { Ports } from "../../../contract/index.ts";
import { SandboxerError } from "../../../contract/index.ts";
import { NetnsError } from "../../../netns/index.ts";
import { throwIfAborted, whyAborted } from "../abort.ts";
import { runningRecord } from "../exec.ts";
import type { Host } from "../host.ts";
import { isAlive } from "../process-tree.ts";
import { RUNTIMES } from "../runtime.ts";

/** Nothing inside can listen below: what does listen there is the boundary, which would take a visitor for the sandbox. */
const LOWEST_PORT = 1024;

/** Servers listen on one or the other. */
const LOOPBACKS = ["127.0.0.1", "::1"];

/** What says that nothing listens: refused, or no IPv6 in there. */
const NOTHING_THERE = new Set(["ECONNREFUSED", "EADDRNOTAVAIL", "EAFNOSUPPORT", "ENETUNREACH"]);

/**
 * Connections to servers inside, by a socket that is made in the sandbox's network namespace: about 0.5 ms. Without root, and for a sandbox of
 * gVisor's that has no egress and so a network stack of its own, no socket of the host's leads in: a command inside does then.
 *
 * @param inside Connects by a command.
 */
export function localPorts(host: Host, inside: Ports): Ports {
  return {
    async connect(ref, port, op) {
      throwIfAborted(op.signal);
      const record = runningRecord(host, ref);
      if (host.rootless !== undefined || (record.spec.egress === undefined && !RUNTIMES[record.runtime].hostProcesses))
        return inside.connect(ref, port, op);
      const nothing = new SandboxerError("not_found", `nothing listens on port ${port} in sandbox ${ref.id}`);
      if (!Number.isInteger(port) || port < LOWEST_PORT || port > 65_535) throw nothing;
      const namespace = record.spec.egress === undefined ? `/proc/${record.init.pid}/ns/net` : host.network.of(ref.id);
      for (const loopback of LOOPBACKS) {
        try {
          const socket = await host.network.netns.connect(namespace, loopback, port, op.signal);
          // The process by whose number the namespace was found was that process all the time.
          if (isAlive(record.init)) return socket;
          socket.destroy();
          throw gone(ref.id);
        } catch (error) {
          if (op.signal.aborted) throw whyAborted(op.signal);
          if (!(error instanceof NetnsError)) throw error;
          if (error.step === "open" || error.step === "setns") throw gone(ref.id, error);
          if (error.code === "EPIPE") throw new SandboxerError("backend_unavailable", error.message, { cause: error });
          if (!NOTHING_THERE.has(error.code)) throw new SandboxerError("backend_unavailable", error.message, { cause: error });
        }
      }
      throw nothing;
    },
  };
}

function gone(id: string, cause?: unknown): SandboxerError {
  return new SandboxerError("sandbox_not_found", `sandbox ${id} does not run on this host`, { cause });
}

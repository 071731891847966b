import type { Socket } from "node:net";
import type { NetworkVerdict } from "../../../contract/network.ts";
import type { Session } from "../session/session.ts";

/** Takes a new connection into the sandbox's count, or ends it where there are too many. */
export function admit(session: Session, socket: Socket, via: NetworkVerdict["via"]): boolean {
  const { connections, idleMs } = session.policy.limits;
  // Whoever uses the socket hears of a failure by its close.
  socket.on("error", () => {});
  if (session.open.count >= connections) {
    socket.resetAndDestroy();
    session.record({
      protocol: "tcp", via, host: socket.localAddress ?? "", port: socket.localPort ?? 0, address: null, method: null, path: null, verdict: "deny", rule: null,
      reason: "limit", detail: `the sandbox has ${connections} connections open; ask for a larger network.limits.connections`, secret: null, bytes_up: 0, bytes_down: 0, ms: 0,
    }); // prettier-ignore
    return false;
  }
  session.open.add(socket);
  socket.setTimeout(idleMs);
  socket.on("timeout", () => socket.destroy());
  return true;
}

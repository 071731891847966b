import type { Socket } from "node:net";
import { Connection } from "../flow/connection.ts";
import type { Inspection } from "../inspect/types.ts";
import type { Session } from "../session/session.ts";
import { admit } from "./admit.ts";
import { destinationOf, recordRefused } from "./destination.ts";

/** A connection to any address at all; its destination is its local address. */
export async function enterTransparent(
  session: Session,
  inspection: Inspection,
  socket: Socket,
  isProbe: (port: number) => boolean,
): Promise<void> {
  const { localAddress = "", localPort = 0, remotePort = 0 } = socket;
  if (!admit(session, socket, "transparent")) return;
  const destination = destinationOf(session, localAddress, localPort);
  if ("verdict" in destination) {
    socket.resetAndDestroy();
    return recordRefused(session, "transparent", { host: localAddress, port: localPort }, destination);
  }
  const arrival = { socket, destination, via: "transparent", head: Buffer.alloc(0), unrecorded: () => isProbe(remotePort) } as const;
  await new Connection(session, inspection, arrival).run();
}

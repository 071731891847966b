import type { Socket as UdpSocket } from "node:dgram";
import type { Server, Socket } from "node:net";
import { INSIDE } from "../../../contract/network.ts";
import type { Netns } from "../../../netns/index.ts";
import { serveTcp, serveUdp } from "../dns/serve.ts";
import type { Inspection } from "../inspect/types.ts";
import type { Session } from "../session/session.ts";
import { admit } from "./admit.ts";
import { enterHttpProxy } from "./http-proxy.ts";
import { enterSocks } from "./socks.ts";
import { enterTransparent } from "./transparent.ts";

/** What listens inside one sandbox's network namespace. */
export interface Doors {
  /** Ports inside from which a probe of our own came: what it is told is not written down. */
  readonly probes: Set<number>;
  /** Whether a connection from this port has arrived at the transparent listener. */
  arrived(port: number): boolean;
  /** Stops listening; what is open goes on. */
  close(): void;
}

export interface DoorsOptions {
  readonly session: Session;
  readonly inspection: Inspection;
  readonly netns: Netns;
  readonly namespace: string;
  /** Told of what no connection should ever come to: a fault of ours. */
  readonly onFault: (thrown: unknown) => void;
}

/** Opens all of them or none. Costs some 2 ms. */
export async function openDoors({ session, inspection, netns, namespace, onFault }: DoorsOptions): Promise<Doors> {
  const probes = new Set<number>();
  const recent = new Set<number>();
  const open: (Server | UdpSocket)[] = [];
  const close = (): void => {
    for (const one of open) one.close();
  };
  const guarded = (enter: (socket: Socket) => void | Promise<void>) => (socket: Socket) => {
    const failed = (thrown: unknown): void => {
      socket.destroy();
      onFault(thrown);
    };
    Promise.resolve(socket).then(enter).catch(failed);
  };
  const listen = async (port: number, enter: (socket: Socket) => void | Promise<void>): Promise<void> => {
    const options = {
      host: INSIDE.address,
      port,
      transparent: port === INSIDE.transparentPort,
      allowHalfOpen: true,
      noDelay: true,
      pauseOnConnect: true,
    };
    open.push(await netns.listen(namespace, options, guarded(enter)));
  };
  // All at once: each is a round trip to the helper, and a create waits for them.
  const opened = await Promise.allSettled([
    listen(INSIDE.transparentPort, (socket) => {
      remember(recent, socket.remotePort ?? 0);
      return enterTransparent(session, inspection, socket, (port) => probes.has(port));
    }),
    listen(INSIDE.httpProxyPort, (socket) => enterHttpProxy(session, inspection, socket)),
    listen(INSIDE.socksPort, (socket) => enterSocks(session, inspection, socket)),
    listen(INSIDE.dnsPort, (socket) => {
      if (!admit(session, socket, "dns")) return;
      serveTcp(session, socket);
      socket.resume();
    }),
    netns.bind(namespace, { host: INSIDE.address, port: INSIDE.dnsPort }).then((udp) => {
      open.push(udp);
      serveUdp(session, udp);
    }),
  ]);
  const failed = opened.find(({ status }) => status === "rejected");
  if (failed?.status === "rejected") {
    close();
    throw failed.reason;
  }
  return { probes, arrived: (port) => recent.has(port), close };
}

/** The last few are enough: a probe asks at once. */
function remember(ports: Set<number>, port: number): void {
  ports.delete(port);
  ports.add(port);
  for (const oldest of ports) {
    if (ports.size <= 4096) break;
    ports.delete(oldest);
  }
}

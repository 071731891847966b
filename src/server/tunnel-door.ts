import { type IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { isId, newId, SandboxerError } from "../contract/index.ts";
import { authenticate, checkHost, requireScope } from "./auth.ts";
import type { Door, Service } from "./call.ts";
import { callerLife } from "./caller-life.ts";
import { refuseUpgrade } from "./preview/problem.ts";
import { join } from "./preview/relay-upgrade.ts";
import { toPublic } from "./reply.ts";

const PATH = /^\/v1\/sandboxes\/([^/?#]+)\/ports\/(\d{1,5})\/tunnel$/;
/** What the connection becomes: bytes to the port, and nothing else. */
export const TUNNEL_PROTOCOL = "sandboxer-tunnel";

/** Whether a request opens a tunnel to a port. */
export function isTunnelRequest({ method, url = "", headers }: IncomingMessage): boolean {
  return method === "GET" && headers.upgrade?.toLowerCase() === TUNNEL_PROTOCOL && PATH.test(url);
}

/** Checks the request like any other, and joins the connection with the port: any of a sandbox that the key may use, published or not. */
export async function openTunnel(service: Service, incoming: IncomingMessage, socket: Duplex, head: Buffer, door: Door): Promise<void> {
  const requestId = newId("request");
  const { engine, open, log, counter } = service;
  const life = callerLife(service, socket);
  try {
    checkHost(door, incoming.headers.host);
    if (open.closing) throw new SandboxerError("shutting_down", "the server is closing");
    // Pages cannot ask for this protocol; one that could must not act for who stands behind a socket without a key.
    if (incoming.headers.origin !== undefined) throw new SandboxerError("forbidden", "a page may not open a tunnel");
    const who = await authenticate(engine, door, incoming.headers.authorization);
    requireScope(who, "write");
    const [, id = "", text = ""] = PATH.exec(incoming.url ?? "") ?? [];
    const port = Number(text);
    for (const [path, ok] of [["id", isId("sandbox", id)], ["port", port >= 1 && port <= 65_535]] as const)
      if (!ok) throw new SandboxerError("invalid_request", `"${path}" in the address is wrong`, { issues: [{ path, message: "is wrong" }] }); // prettier-ignore
    life.hold();
    const connection = await engine.ports.connect(who, id, port, life.signal);
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${TUNNEL_PROTOCOL}\r\n\r\n`);
    if (head.length > 0) socket.unshift(head);
    join(socket, connection.stream, connection.active);
    counter.count("GET", "/v1/sandboxes/{id}/ports/{port}/tunnel", 101);
    log.info({ request_id: requestId, sandbox_id: id, port, tenant: who.tenant, key_id: who.key_id }, "tunnel opened");
  } catch (thrown) {
    const error = toPublic(thrown);
    if (error.code === "internal") log.error({ request_id: requestId, err: thrown }, "a tunnel failed");
    counter.count("GET", "/v1/sandboxes/{id}/ports/{port}/tunnel", error.status);
    refuseUpgrade(incoming, socket, requestId, error);
  }
}

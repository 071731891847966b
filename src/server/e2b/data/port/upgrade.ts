import { STATUS_CODES, type IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { SandboxerError } from "../../../../contract/index.ts";
import { goneAnswer } from "../../gone.ts";
import { Session } from "../session.ts";
import type { DataCall, E2bContext } from "../../context.ts";
import { requestHeaders } from "./headers.ts";
import { NoRelay, openTunnel, PortClosed } from "./tunnel.ts";

/**
 * Joins an upgraded connection (a WebSocket, most often) with a port inside: the handshake goes through as it came, and
 * then every byte. Resolves once they are joined.
 *
 * @throws SandboxerError where the sandbox does not run or its port cannot be reached; nothing was written to the socket then.
 */
export async function upgradePort(
  ctx: E2bContext,
  call: DataCall,
  port: number,
  incoming: IncomingMessage,
  socket: Duplex,
  head: Buffer,
): Promise<void> {
  const session = await Session.open(ctx, call);
  const tunnel = await openTunnel(session, port, call.signal);
  tunnel.write(`${incoming.method ?? "GET"} ${incoming.url ?? "/"} HTTP/1.1\r\n${headerLines(incoming)}\r\n`);
  if (head.length > 0) tunnel.write(head);
  // The first byte of the answer tells that something listens.
  await new Promise<void>((resolve, reject) => {
    tunnel.once("readable", resolve);
    tunnel.once("error", (error) => reject(closed(port, error)));
  });
  const end = (): void => {
    tunnel.destroy();
    socket.destroy();
  };
  for (const side of [tunnel, socket]) side.on("error", end).on("close", end);
  tunnel.pipe(socket);
  socket.pipe(tunnel);
}

function headerLines({ headers }: IncomingMessage): string {
  const kept = { ...requestHeaders(headers), connection: "Upgrade", upgrade: headers.upgrade ?? "websocket" };
  return Object.entries(kept)
    .flatMap(([name, value]) => [value].flat().map((one) => `${name}: ${one}\r\n`))
    .join("");
}

function closed(port: number, error: Error): SandboxerError {
  if (error instanceof SandboxerError) return error;
  if (error instanceof NoRelay) return new SandboxerError("capability_unsupported", `ports: ${error.message}`, { cause: error });
  const message = error instanceof PortClosed ? "The sandbox is running but port is not open" : `the connection to port ${port} broke off`;
  return new SandboxerError("backend_rejected", message, { cause: error });
}

/** Answers on a bare connection, as a request to a port is answered. */
export function refuseUpgrade(socket: Duplex, sandboxId: string, error: SandboxerError): void {
  const isGone = error.code === "sandbox_not_found" || error.code === "wrong_state";
  const status = isGone ? 502 : error.status === 422 ? 400 : error.status;
  const body = JSON.stringify(isGone ? goneAnswer(sandboxId).body : { sandboxId, message: error.message, code: status });
  const head = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ""}\r\nconnection: close\r\ncontent-type: application/json\r\n`;
  if (!socket.writable) socket.destroy();
  else socket.end(`${head}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
}

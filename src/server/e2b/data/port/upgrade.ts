import { STATUS_CODES, type IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import type { SandboxerError } from "../../../../contract/index.ts";
import { responseHeaders } from "../../../preview/headers.ts";
import { relayUpgrade } from "../../../preview/relay-upgrade.ts";
import { goneAnswer } from "../../gone.ts";
import type { DataCall, E2bContext } from "../../context.ts";
import { insideHeaders, PORT_CLOSED } from "./forward.ts";

/**
 * Joins an upgraded connection (a WebSocket, most often) with a port inside. Resolves with the status once they are joined, or once
 * the program has refused.
 *
 * @throws SandboxerError where the sandbox does not run or its port cannot be reached; nothing was written to the socket then.
 */
export async function upgradePort(
  { engine }: E2bContext,
  { who, sandboxId, signal }: DataCall,
  port: number,
  incoming: IncomingMessage,
  socket: Duplex,
  head: Buffer,
): Promise<number> {
  return relayUpgrade({
    incoming,
    socket,
    head,
    path: incoming.url ?? "/",
    headers: insideHeaders(incoming),
    open: () => engine.ports.connect(who, sandboxId, port, signal),
    answerHeaders: (answer) => responseHeaders(answer, "", ""),
  });
}

/** Answers on a bare connection, as a request to a port is answered. */
export function refuseUpgrade(socket: Duplex, sandboxId: string, error: SandboxerError): void {
  const isGone = error.code === "sandbox_not_found" || error.code === "wrong_state";
  const status = isGone ? 502 : error.status === 422 ? 400 : error.status;
  const message = error.code === "port_closed" ? PORT_CLOSED : error.message;
  const body = JSON.stringify(isGone ? goneAnswer(sandboxId).body : { sandboxId, message, code: status });
  const head = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ""}\r\nconnection: close\r\ncontent-type: application/json\r\n`;
  if (!socket.writable) socket.destroy();
  else socket.end(`${head}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
}

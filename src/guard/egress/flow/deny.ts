import type { Socket } from "node:net";
import type { Decision } from "../inspect/types.ts";

/** A fatal TLS alert, access_denied (RFC 8446, 6.2): clients say so instead of "connection reset". */
const ACCESS_DENIED = Buffer.from([21, 3, 3, 0, 2, 2, 49]);

/** Ends a connection that was denied, in its own language as far as it has one. Nothing that the client still sends is read into memory. */
export function deny(socket: Socket, kind: "tls" | "http" | "tcp", decision: Pick<Decision, "detail">, status = "403 Forbidden"): void {
  if (kind === "tcp") return void socket.resetAndDestroy();
  socket.end(kind === "tls" ? ACCESS_DENIED : forbidden(decision.detail ?? "denied", status));
  socket.resume();
  // It must read the answer before the reset that unread bytes would cause; it gets no longer than that.
  socket.setTimeout(1000, () => socket.destroy());
  socket.once("end", () => socket.destroy());
}

function forbidden(detail: string, status: string): string {
  const body = `sand-boxer: ${detail}\n`;
  const fields = [
    "content-type: text/plain; charset=utf-8",
    `content-length: ${Buffer.byteLength(body)}`,
    "connection: close",
    "x-sand-boxer: denied",
  ];
  return `HTTP/1.1 ${status}\r\n${fields.join("\r\n")}\r\n\r\n${body}`;
}

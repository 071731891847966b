import type { Socket } from "node:net";
import { Connection } from "../flow/connection.ts";
import { deny } from "../flow/deny.ts";
import { peek } from "../flow/peek.ts";
import type { Decision, Inspection, Target } from "../inspect/types.ts";
import type { Session } from "../session/session.ts";
import { admit } from "./admit.ts";
import { destinationOf, recordRefused } from "./destination.ts";

const NOTHING = Buffer.alloc(0);
const NOT_HTTP: Decision = {
  verdict: "deny",
  rule: null,
  reason: "protocol",
  detail: "this is an HTTP proxy: send CONNECT, or a request in absolute form",
};

/** A connection to the HTTP proxy: a tunnel after CONNECT, or requests in absolute form, each of which names its own target. */
export async function enterHttpProxy(session: Session, inspection: Inspection, socket: Socket): Promise<void> {
  if (!admit(session, socket, "proxy")) return;
  const opening = await peek(socket, NOTHING, { wholeHead: true });
  if (opening.kind === "gone" || opening.kind === "silent") return void socket.destroy();
  if (opening.kind !== "http") {
    deny(socket, opening.kind === "tls" ? "tls" : "http", NOT_HTTP, "400 Bad Request");
    return recordRefused(session, "proxy", { host: "", port: 0 }, NOT_HTTP);
  }
  const line = (opening.head ?? "").split("\r\n", 1)[0] ?? "";
  if (!line.startsWith("CONNECT ")) {
    socket.unshift(opening.bytes);
    return inspection.serve({ client: socket, kind: "http", target: null, via: "proxy" });
  }
  const [, host = "", port = "0"] = /^CONNECT ([^ ]*):(\d{1,5}) HTTP\/1\.[01]$/.exec(line) ?? [];
  const asked: Target = { host, port: Number(port) };
  const destination = Number(port) === 0 || Number(port) > 65_535 ? NOT_HTTP : destinationOf(session, host, Number(port));
  const decision = "verdict" in destination ? destination : session.decideConnection({ ...destination, protocol: "any" });
  if ("verdict" in destination || decision.verdict === "deny") {
    deny(socket, "http", decision, decision === NOT_HTTP ? "400 Bad Request" : "403 Forbidden");
    return recordRefused(session, "connect", "verdict" in destination ? asked : destination, decision);
  }
  socket.write("HTTP/1.1 200 Connection established\r\n\r\n");
  const head = opening.bytes.subarray((opening.head ?? "").length + 4);
  await new Connection(session, inspection, { socket, destination, via: "connect", head }).run();
}

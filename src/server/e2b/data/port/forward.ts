import type { IncomingMessage } from "node:http";
import { SandboxerError } from "../../../../contract/index.ts";
import { authorityOf } from "../../../preview/address.ts";
import { requestHeaders, responseHeaders } from "../../../preview/headers.ts";
import { PortPool } from "../../../preview/pool.ts";
import { framing, relay } from "../../../preview/relay.ts";
import { alreadySent } from "../../../reply.ts";
import type { DataCall, E2bContext } from "../../context.ts";
import { respond } from "../respond.ts";

const pools = new WeakMap<E2bContext, PortPool>();

/** Passes a request on to a port inside and its answer back, both as they come. */
export async function forward(ctx: E2bContext, call: DataCall, port: number): Promise<Response> {
  const { incoming, outgoing, who, sandboxId } = call;
  if (incoming === undefined || outgoing === undefined) throw new SandboxerError("internal", "ports are reached over a connection only");
  const pool = pools.get(ctx) ?? new PortPool();
  pools.set(ctx, pool);
  call.signal.addEventListener("abort", () => call.destroy(), { once: true });
  try {
    await relay(pool, {
      incoming,
      outgoing,
      path: incoming.url ?? "/",
      headers: { ...insideHeaders(incoming), ...framing(incoming) },
      key: `${sandboxId} ${port}`,
      open: () => ctx.engine.ports.connect(who, sandboxId, port),
      answerHeaders: (answer) => responseHeaders(answer, "", ""),
      log: ctx.log,
    });
    return alreadySent();
  } catch (thrown) {
    if (!(thrown instanceof SandboxerError) || (thrown.code !== "port_closed" && thrown.code !== "backend_rejected")) throw thrown;
    const message = thrown.code === "port_closed" ? PORT_CLOSED : "The program at that port did not answer in HTTP";
    return respond(call, 502, { sandboxId, message, port, code: 502 });
  }
}

/** In the words of E2B's edge. */
export const PORT_CLOSED = "The sandbox is running but port is not open";

/** A request's headers as the program inside gets them: without what is meant for this door. */
export function insideHeaders(incoming: IncomingMessage): Record<string, string | string[]> {
  const { "x-access-token": _token, "x-api-key": _key, ...headers } = incoming.headers;
  const host = authorityOf(headers) || "localhost";
  const proto = "encrypted" in incoming.socket ? "https" : "http";
  return requestHeaders(headers, host, { for: incoming.socket.remoteAddress ?? "unknown", host, proto, prefix: "" });
}

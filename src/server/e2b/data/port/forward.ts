import { request as httpRequest, type ClientRequest, type IncomingMessage, type ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { pipeline } from "node:stream/promises";
import { SandboxerError } from "../../../../contract/index.ts";
import { bodyOf } from "../../../body.ts";
import { alreadySent } from "../../../reply.ts";
import { respond } from "../respond.ts";
import type { Session } from "../session.ts";
import { requestHeaders, responseHeaders } from "./headers.ts";
import { NoRelay, openTunnel, PortClosed } from "./tunnel.ts";

/** Passes a request on to a port inside and its answer back, both as they come. */
export async function forward(session: Session, port: number): Promise<Response> {
  const { call } = session;
  const { incoming, outgoing, signal } = call;
  if (incoming === undefined || outgoing === undefined) throw new SandboxerError("internal", "ports are reached over a connection only");
  try {
    const tunnel = await openTunnel(session, port, signal);
    const answer = await ask(session, tunnel, incoming);
    pass(session, answer, outgoing, tunnel);
    return alreadySent();
  } catch (thrown) {
    return refuse(session, port, thrown);
  }
}

/** Sends the request; resolves with the head of the answer. */
function ask({ call, ctx }: Session, tunnel: Duplex, incoming: IncomingMessage): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const request: ClientRequest = httpRequest({
      createConnection: () => tunnel,
      method: incoming.method ?? "GET",
      path: incoming.url ?? "/",
      headers: requestHeaders(incoming.headers),
      setHost: false,
    });
    // The tunnel knows why it closed; the request only that it did.
    tunnel.on("error", reject);
    request.on("error", reject);
    request.on("response", resolve);
    const body = bodyOf({ incoming, request: call.request }, { maxBytes: Number.MAX_SAFE_INTEGER, idleMs: undefined });
    pipeline(body, request).catch((thrown: unknown) => {
      ctx.log.debug({ request_id: call.requestId, err: thrown }, "the body of a request to a port was not taken whole");
    });
  });
}

function pass({ ctx, call }: Session, answer: IncomingMessage, outgoing: ServerResponse, tunnel: Duplex): void {
  outgoing.writeHead(answer.statusCode ?? 502, responseHeaders(answer));
  outgoing.flushHeaders();
  pipeline(answer, outgoing)
    .catch((thrown: unknown) => {
      ctx.log.debug({ request_id: call.requestId, err: thrown }, "the answer of a port broke off");
      call.destroy();
    })
    .finally(() => tunnel.destroy());
}

function refuse(session: Session, port: number, thrown: unknown): Response {
  if (thrown instanceof SandboxerError) throw thrown;
  if (thrown instanceof NoRelay) throw new SandboxerError("capability_unsupported", `ports: ${thrown.message}`, { cause: thrown });
  const message =
    thrown instanceof PortClosed ? "The sandbox is running but port is not open" : "The program at that port did not answer in HTTP";
  return respond(session.call, 502, { sandboxId: session.id, message, port, code: 502 });
}

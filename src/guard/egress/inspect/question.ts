import type { IncomingMessage } from "node:http";
import type { Http2ServerRequest } from "node:http2";
import { canonicalHost } from "../policy/index.ts";
import { fromHttp2, type Headers, values } from "./headers.ts";
import { Refused } from "./refusal.ts";
import { type RequestPath, requestPath } from "./request-path.ts";
import { requestTarget } from "./request-target.ts";
import type { Decision, Inspected, LiveSession, RequestQuestion, Target } from "./types.ts";

/** A request's head as it was read, once. */
export interface Asked {
  readonly question: RequestQuestion;
  readonly path: RequestPath;
  readonly received: Headers;
}

export interface Framed {
  readonly scheme: "http" | "https";
  /** Where the connection leads; null: each request of a proxy's connection says so itself. */
  readonly target: Target | null;
  readonly via: Inspected["via"];
  readonly websocket?: boolean;
}

/** @throws Refused for a request that cannot be read in one way only, or that names another host than its connection. */
export function readQuestion(request: IncomingMessage | Http2ServerRequest, { scheme, target: fixed, websocket = false }: Framed): Asked {
  const { method = "", url = "" } = request;
  const http2 = request.httpVersionMajor === 2;
  if (request.httpVersion === "1.0" && request.headers["transfer-encoding"] !== undefined) {
    // RFC 9112 section 6.1: its framing is to be taken for faulty.
    throw new Refused("protocol", "An HTTP/1.0 request has no Transfer-Encoding.", { status: 400, closes: true });
  }
  const received = http2 ? fromHttp2(request.rawHeaders) : request.rawHeaders;
  const hosts = values(received, "host");
  const authority = http2 ? request.headers[":authority"] : undefined;
  const authorities = typeof authority === "string" ? [authority, ...hosts.filter((host) => host !== authority)] : hosts;
  const [type = ""] = values(received, "content-type");
  if (http2 && /^application\/grpc(?:[+;]|$)/i.test(type)) {
    throw new Refused(
      "protocol",
      "gRPC needs HTTP/2 to its server, which inspection does not speak: ask for tls: passthrough for this host.",
    );
  }
  const { target, rest } = requestTarget({ scheme, target: url, authorities }, fixed, canonical);
  const path = requestPath(rest);
  return { question: { ...target, scheme, method, path: path.path, websocket }, path, received };
}

function canonical(host: string): string {
  const name = canonicalHost(host);
  if (name === undefined) throw new Refused("bad_name", `${JSON.stringify(host)} is no host name.`, { status: 400 });
  return name;
}

/** @throws Refused where the policy, as it is now, says no. */
export function admitted(session: LiveSession, question: RequestQuestion): Decision {
  const decision = session.decide(question);
  if (decision.verdict !== "deny") return decision;
  throw new Refused(decision.reason ?? "no_rule", decision.detail ?? "no rule allows it", { rule: decision.rule });
}

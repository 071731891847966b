import { type ErrorCode, parse, isId, newId, type Origin, type Principal, SandboxerError, type IdKind } from "../contract/index.ts";
import { authenticate, checkHost, requireScope } from "./auth.ts";
import { hasBody } from "./body.ts";
import { Call, type HttpContext, type Service } from "./call.ts";
import { expectBytes, readDocument } from "./document.ts";
import { parseQuery } from "./query.ts";
import { failure, toPublic } from "./reply.ts";
import type { Route } from "./route.ts";
import { NoParameters } from "./schemas.ts";
import { tracker } from "./tracker.ts";

/** The hono handler of a route: host, key, scope, ids, query and body are checked in this order, then the route runs. */
export function mount(service: Service, route: Route): (context: HttpContext) => Promise<Response> {
  const parameters = pathParameters(route.path);
  return async (context) => {
    const requestId = newId("request");
    const track = tracker(service, context, requestId, route.path);
    const { door } = context.env;
    let call: Call | undefined;
    let who: Principal = NOBODY;
    const origin: Origin = { address: peerOf(context), request_id: requestId };
    try {
      checkHost(door, context.req.header("host"));
      if (service.open.closing) throw new SandboxerError("shutting_down", "the server is closing");
      if (route.scope !== "open") {
        who = { ...(await authenticate(service.engine, door, context.req.header("authorization"))), origin };
        requireScope(who, route.scope);
        track.who(who.tenant, who.key_id);
      }
      const params: Record<string, string> = {};
      for (const { name, kind } of parameters) {
        const value = context.req.param(name) ?? "";
        if (kind !== undefined && !isId(kind, value)) throw malformedId(name, kind);
        params[name] = value;
      }
      const query = parse(route.query, parseQuery(rawQuery(context)), { what: "query" });
      const body = await readBody(service, context, route);
      call = new Call({ service, context, requestId, who, params, query, body, kind: route.kind });
      const made = call;
      const attributes = { "http.request.method": context.req.method, "http.route": route.path, request_id: requestId };
      const response = await service.telemetry.within(context.req.header("traceparent"), () =>
        service.telemetry.span(`${context.req.method} ${route.path}`, attributes, async () => route.handle(made)),
      );
      track.answered(response.status);
      return response;
    } catch (thrown) {
      const error = toPublic(thrown);
      if (error.code === "internal") service.log.error({ request_id: requestId, err: thrown }, "a request failed");
      track.answered(error.status, error.code);
      if (DENIED.has(error.code)) await noteDenial(service, { ...who, origin }, route, context, error.code);
      return failure({ context, requestId }, error);
    } finally {
      if (call?.streaming === false) call.release();
    }
  };
}

const NOBODY: Principal = { tenant: "", key_id: null, scopes: [] };

/** What stands in the audit log although nothing was done. */
const DENIED: ReadonlySet<string> = new Set<ErrorCode>(["unauthorized", "forbidden", "policy_denied"]);

function noteDenial(service: Service, who: Principal, { operation }: Route, context: HttpContext, code: string): Promise<void> {
  return service.engine.audit.denied(who, {
    action: operation,
    target: context.req.param("id") ?? context.req.param("name") ?? null,
    code,
  });
}

/** Where the request came from: an address, or `unix`; null in this process. */
function peerOf(context: HttpContext): string | null {
  const { incoming } = context.env;
  return incoming === undefined ? null : (incoming.socket.remoteAddress ?? "unix");
}

/** What `{id}` is an id of, below the paths where it is not a sandbox's. */
const OWN_IDS: Readonly<Record<string, IdKind>> = { keys: "key", webhooks: "webhook", snapshots: "snapshot" };

/** Which of a path's parameters are ids, and of what. */
function pathParameters(path: string): { name: string; kind: IdKind | undefined }[] {
  return [...path.matchAll(/\{(\w+)\}/g)].map(([, name = ""]) => {
    const kind = name === "pid" ? "process" : name !== "id" ? undefined : (OWN_IDS[path.split("/")[2] ?? ""] ?? "sandbox");
    return { name, kind };
  });
}

function malformedId(name: string, kind: IdKind): SandboxerError {
  const message = `is not the id of a ${kind}`;
  return new SandboxerError("invalid_request", `"${name}" in the address ${message}`, { issues: [{ path: name, message }] });
}

function rawQuery(context: HttpContext): string {
  // Node's own address where there is one: the URL class rewrites escapes.
  const url = context.env.incoming?.url ?? context.req.url;
  const start = url.indexOf("?");
  if (start === -1) return "";
  const end = url.indexOf("#", start);
  return url.slice(start + 1, end === -1 ? undefined : end);
}

async function readBody(service: Service, context: HttpContext, route: Route): Promise<unknown> {
  const { bodyKind } = route;
  switch (bodyKind.kind) {
    case "none":
      if (route.method === "get" || !hasBody(context)) return undefined;
      return parse(NoParameters, await readDocument(context, service.limits, ["application/json"]), { what: "body" });
    case "bytes":
      expectBytes(context, bodyKind.types);
      return undefined;
    case "document-or-bytes":
      if (bodyKind.byteTypes.includes(essence(context))) {
        expectBytes(context, bodyKind.byteTypes);
        return undefined;
      }
      break;
    case "document":
      break;
  }
  const document = await readDocument(context, service.limits, bodyKind.types);
  return route.body === undefined ? document : parse(route.body, document, { what: "body" });
}

function essence(context: HttpContext): string {
  return (context.req.header("content-type") ?? "").toLowerCase().split(";")[0]?.trim() ?? "";
}

import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { Hono } from "hono";
import { newId, SandboxerError, type Logger } from "../../contract/index.ts";
import { breakOff } from "../answered.ts";
import { requireScope } from "../auth.ts";
import { Call, type Bindings, type Door, type HttpContext, type Service } from "../call.ts";
import { json, send, toPublic } from "../reply.ts";
import { tracker } from "../tracker.ts";
import { hostOf, type Place } from "../preview/address.ts";
import { destination, type Destination } from "./address.ts";
import { authenticateApiKey } from "./auth.ts";
import { ControlCall } from "./call.ts";
import { ENVD_PORT, type DataCall, type E2bContext } from "./context.ts";
import { handleEnvd } from "./data/index.ts";
import { forward } from "./data/port/forward.ts";
import { toE2bError } from "./errors.ts";
import { DataGate } from "./gate.ts";
import { goneAnswer } from "./gone.ts";
import { controlRoutes, findRoute, type FindRoute } from "./routes.ts";
import { createTokens } from "./tokens.ts";
import { answerUpgrade, checkOwnName, portUpgrade } from "./upgrade.ts";

export interface E2bOptions {
  /** What tokens are made with; asked for when the first one is needed. */
  readonly secret: () => Uint8Array;
  /**
   * What sandboxes' host names end in, with a port where it is not the usual one. Without a port: that of our own TLS
   * listener where there is one. `localhost` and the port of the first plain listener unless given.
   */
  readonly domain?: string;
}

/** The E2B wire beside our own API, on the same listeners. */
export interface E2bDoor {
  readonly context: E2bContext;
  /** Whether a request is of E2B's wire. */
  takes(incoming: IncomingMessage): boolean;
  fetch(request: Request, env: Bindings): Promise<Response> | Response;
  /** Whether a request is an upgrade (to a WebSocket, most often) for a port inside a sandbox. */
  takesUpgrade(incoming: IncomingMessage): boolean;
  upgrade(incoming: IncomingMessage, socket: Duplex, head: Buffer, door: Door): Promise<void>;
  /** The port by which E2B's agent is reached: no program's. */
  readonly agentPort: number;
  /** Whether a port that nobody published is open by E2B's own rules, or asked for with E2B's own token. */
  claims(place: Place, incoming: IncomingMessage): Promise<boolean>;
}

/** The ports that are listened on as they become known; 0 while there is none. */
export interface Ports {
  readonly plain: number;
  readonly tls: number;
}

/** Makes the door. */
export function createE2bDoor(service: Service, options: E2bOptions, ports: Ports): E2bDoor {
  const ctx: E2bContext = {
    engine: service.engine,
    log: service.log,
    limits: service.limits,
    tokens: createTokens(options.secret),
    domain: () => domainWithPort(options.domain, ports),
    serverPort: () => ports.plain,
  };
  const find = findRoute(controlRoutes());
  const gate = new DataGate(ctx);
  const app = new Hono<{ Bindings: Bindings }>();
  app.all("*", async (context) => {
    const to = destinationOf(ctx, context);
    return to.to === "control" ? answerControl(service, ctx, context, find) : answerData(service, ctx, context, gate, to);
  });
  return {
    context: ctx,
    agentPort: ENVD_PORT,
    claims: async ({ sandboxId }, { headers }) => headers["e2b-traffic-access-token"] !== undefined || (await gate.wasMadeHere(sandboxId)),
    takes: (incoming) => whither(ctx, incoming) !== undefined,
    fetch: (request, env) => app.fetch(request, env),
    takesUpgrade: (incoming) => portUpgrade(whither(ctx, incoming), incoming) !== undefined,
    upgrade: async (incoming, socket, head, door) => {
      const to = portUpgrade(whither(ctx, incoming), incoming);
      if (to !== undefined) await answerUpgrade({ service, ctx, gate, door }, to, incoming, socket, head);
    },
  };
}

function domainWithPort(domain: string | undefined, { plain, tls }: Ports): string {
  if (domain === undefined) return `localhost:${plain}`;
  return domain.includes(":") || tls === 0 || tls === 443 ? domain : `${domain}:${tls}`;
}

function whither(ctx: E2bContext, { headers, url = "/" }: IncomingMessage): Destination | undefined {
  const query = url.indexOf("?");
  return destination(headers, query === -1 ? url : url.slice(0, query), query === -1 ? "" : url.slice(query + 1), ctx.domain());
}

function destinationOf(ctx: E2bContext, context: HttpContext): Destination {
  const { incoming } = context.env;
  return (incoming === undefined ? undefined : whither(ctx, incoming)) ?? { to: "control" };
}

/** A loopback listener answers to this machine's names and to those of its own domain. */
function checkOwnHost(ctx: E2bContext, context: HttpContext): void {
  checkOwnName(ctx, context.env.door, hostOf(context.env.incoming?.headers ?? {}));
}

async function answerControl(service: Service, ctx: E2bContext, context: HttpContext, find: FindRoute): Promise<Response> {
  const to = { context, requestId: newId("request") };
  const found = find(context.req.method, context.req.path);
  const track = tracker(service, context, to.requestId, `e2b ${found instanceof SandboxerError ? "unknown" : found.route.path}`);
  let call: Call | undefined;
  try {
    checkOwnHost(ctx, context);
    if (service.open.closing) throw new SandboxerError("shutting_down", "the server is closing");
    const who = await authenticateApiKey(ctx, context);
    track.who(who.tenant, who.key_id);
    if (found instanceof SandboxerError) throw found;
    requireScope(who, found.route.scope);
    call = new Call({ service, context, requestId: to.requestId, who, params: found.params, query: {}, body: undefined, kind: "work" });
    const { status, body, headers } = await found.route.handle(new ControlCall(ctx, call, found.generation));
    track.answered(status);
    return body === null ? send(to, status, null, { ...headers }) : json(to, status, body, { ...headers });
  } catch (thrown) {
    const error = publicError(service.log, to.requestId, thrown);
    const { status, body, headers } = toE2bError(error);
    track.answered(status, error.code);
    return json(to, status, body, headers);
  } finally {
    call?.release();
  }
}

async function answerData(
  service: Service,
  ctx: E2bContext,
  context: HttpContext,
  gate: DataGate,
  to: Exclude<Destination, { to: "control" }>,
): Promise<Response> {
  const requestId = newId("request");
  const track = tracker(service, context, requestId, `e2b data ${to.to === "sandbox" && to.port !== ENVD_PORT ? "port" : "envd"}`);
  try {
    checkOwnHost(ctx, context);
    if (service.open.closing) throw new SandboxerError("shutting_down", "the server is closing");
    const { sandboxId, port, who } = await gate.admit(context.req, to);
    track.who(who.tenant, null);
    const data = dataCall(service, context, requestId, sandboxId, who);
    const response = await (port === ENVD_PORT ? handleEnvd(ctx, data) : forward(ctx, data, port));
    track.answered(response.status);
    return response;
  } catch (thrown) {
    const error = publicError(service.log, requestId, thrown);
    const isGone = error.code === "sandbox_not_found" || error.code === "wrong_state";
    const { status, body, headers } = isGone ? { ...goneAnswer(to.to === "sandbox" ? to.sandboxId : ""), headers: {} } : toE2bError(error);
    track.answered(status, error.code);
    return json({ context, requestId }, status, body, headers);
  }
}

function dataCall(service: Service, context: HttpContext, requestId: string, sandboxId: string, who: DataCall["who"]): DataCall {
  const { incoming, outgoing } = context.env;
  const streams = context.req.header("content-type")?.startsWith("application/connect+") ?? false;
  // Streams have no end of their own: they are let go at once when the server closes.
  const call = new Call({
    service,
    context,
    requestId,
    who,
    params: { id: sandboxId },
    query: {},
    body: undefined,
    kind: streams ? "follower" : "work",
  });
  return {
    requestId,
    sandboxId,
    who,
    request: context.req.raw,
    get signal() {
      return call.signal;
    },
    ...(incoming === undefined ? {} : { incoming }),
    ...(outgoing === undefined ? {} : { outgoing }),
    destroy: () => {
      if (outgoing !== undefined) breakOff(outgoing);
    },
  };
}

function publicError(log: Logger, requestId: string, thrown: unknown): SandboxerError {
  const error = toPublic(thrown);
  if (error.code === "internal") log.error({ request_id: requestId, err: thrown }, "a request of the E2B wire failed");
  return error;
}

import { type Principal, SandboxerError } from "../contract/index.ts";
import { type Context, neverAborted, op } from "./context.ts";
import type { Engine } from "./engine.ts";
import { holds } from "./keys.ts";
import type { PortConnection, Visitor } from "./publication.ts";
import { listPublished, publish, published, redeem, unpublish } from "./publish.ts";
import { explain, requireCapability, type Usable, used } from "./use.ts";

/** Open at once to one sandbox: each may be a process inside, and visitors must not use up what the owner needs. */
const MAX_CONNECTIONS = 512;
/** How soon a visitor's connection notices what another process did: an unpublish, a revoked key. */
const LOOK_AGAIN_MS = 5000;
/** Between two uses that are told to the idle clock, which knows its own measure. */
const TOUCH_EVERY_MS = 100;
/** For a connection to stand. */
const CONNECT_MS = 30_000;

const isVisitor = (who: Principal | Visitor): who is Visitor => "publication" in who;

/** Whose sandbox it is, where what let a visitor in still holds. */
async function tenantFor(ctx: Context, { publication, keyId }: Visitor, id: string, port: number): Promise<string | undefined> {
  const now = await published(ctx, id, port);
  const { generation, serial, visibility } = publication;
  if (now?.generation !== generation || now.serial !== serial || now.visibility !== visibility) return undefined;
  const stands = keyId === null || (await holds(ctx, keyId));
  return stands ? now.tenant : undefined;
}

async function targetFor(ctx: Context, who: Principal | Visitor, id: string, port: number): Promise<Usable> {
  if (!isVisitor(who)) return used(ctx, who, id);
  const tenant = await tenantFor(ctx, who, id, port);
  if (tenant === undefined) throw new SandboxerError("not_found", `port ${port} is not published`, { phase: "ports" });
  return used(ctx, { tenant, key_id: null, scopes: [] }, id);
}

async function connect(
  ctx: Context,
  who: Principal | Visitor,
  id: string,
  port: number,
  caller: AbortSignal = neverAborted(),
): Promise<PortConnection> {
  const target = await targetFor(ctx, who, id, port);
  const { row, ref, provider } = target;
  requireCapability(target, "ports.http", "port");
  if (provider.ports === undefined)
    throw new SandboxerError("capability_unsupported", `backend ${row.backend} has no ports`, { backend: row.backend });
  if (ctx.live.countConnections(id) >= MAX_CONNECTIONS)
    throw new SandboxerError("quota_exceeded", `sandbox ${id} has ${MAX_CONNECTIONS} connections to its ports already`, { phase: "ports" });
  const ended = new AbortController();
  const done = ctx.live.beginConnection(id, isVisitor(who) ? port : null, ended);
  const signal = AbortSignal.any([caller, ended.signal]);
  const late = new AbortController();
  const clock = setTimeout(() => late.abort(new DOMException("the port did not take the connection in time", "TimeoutError")), CONNECT_MS);
  try {
    const stream = await provider.ports.connect(ref, port, op(ctx, AbortSignal.any([signal, late.signal])));
    clearTimeout(clock);
    const end = (): void => void stream.destroy();
    if (signal.aborted) end();
    else signal.addEventListener("abort", end, { once: true });
    const look = isVisitor(who) ? lookAgain(ctx, who, id, port, ended) : undefined;
    // Whoever is given it may be gone before he listens; an error without a listener would end the process.
    stream.on("error", (error) => ctx.log.debug({ sandbox: id, port, error: String(error) }, "a connection to a port broke off"));
    stream.once("close", () => {
      clearInterval(look);
      signal.removeEventListener("abort", end);
      done();
    });
    const active = activity(ctx, target);
    active();
    return { stream, active };
  } catch (thrown) {
    clearTimeout(clock);
    done();
    if (ended.signal.aborted && !caller.aborted)
      throw new SandboxerError("wrong_state", `sandbox ${id} has ended, or its port was taken back`);
    throw await refused(ctx, target, port, thrown);
  }
}

async function refused(ctx: Context, { row }: Usable, port: number, thrown: unknown): Promise<SandboxerError> {
  if (thrown instanceof SandboxerError && thrown.code === "not_found")
    return new SandboxerError("port_closed", `nothing listens on port ${port} in the sandbox`, { phase: "ports", cause: thrown });
  return explain(ctx, row, "ports", thrown);
}

function lookAgain(ctx: Context, who: Visitor, id: string, port: number, ended: AbortController): NodeJS.Timeout {
  return setInterval(() => {
    tenantFor(ctx, who, id, port).then(
      (tenant) => tenant ?? ended.abort(),
      (thrown: unknown) => {
        // What cannot be read cannot be granted.
        ctx.log.warn({ sandbox: id, port, error: String(thrown) }, "whether a port is still published could not be read");
        ended.abort();
      },
    );
  }, LOOK_AGAIN_MS).unref();
}

/** Called for every piece, so that most calls do nothing. */
function activity(ctx: Context, target: Usable): () => void {
  let last = -Infinity;
  return () => {
    const now = performance.now();
    if (now - last < TOUCH_EVERY_MS) return;
    last = now;
    ctx.live.background(touch(ctx, target));
  };
}

async function touch(ctx: Context, { row }: Usable): Promise<void> {
  try {
    await ctx.activity.touch(row);
  } catch (thrown) {
    ctx.log.warn({ sandbox: row.id, error: String(thrown) }, "the use of a port could not be written");
  }
}

/** Connections into a sandbox, and who may make them. */
export function ports(ctx: Context): Engine["ports"] {
  return {
    connect: (who, id, port, signal) => connect(ctx, who, id, port, signal),
    // The question is all there is to it.
    mayVisit: () => Promise.resolve(),
    published: (id, port) => published(ctx, id, port),
    list: (who, id) => listPublished(ctx, who, id),
    publish: (who, id, request) => publish(ctx, who, id, request),
    unpublish: (who, id, port) => unpublish(ctx, who, id, port),
    redeem: (grant, expiresAt) => redeem(ctx, grant, expiresAt),
  };
}

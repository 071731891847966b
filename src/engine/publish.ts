import { isId, parse, type PortVisibility, type Principal, PublishRequest, SandboxerError, TRANSITIONS } from "../contract/index.ts";
import { appendEvent, findPublishedPort, findSandbox, forgetPortGrants, insertPortGrant, isUniqueViolation, publishedPortsOf, type PublishedPortRow, type SandboxRow, writePublishedPort } from "../ledger/index.ts"; // prettier-ignore
import { accessibleSandbox } from "./access.ts";
import { audit } from "./audit.ts";
import type { Context } from "./context.ts";
import { portRules, type PortRules } from "./port-rules.ts";
import type { Publication } from "./publication.ts";
import { requireCapability, usable, wakesOnUse } from "./use.ts";

const WIDTH: Readonly<Record<PortVisibility, number>> = { private: 0, token: 1, public: 2 };

function narrower(a: PortVisibility, b: PortVisibility): PortVisibility {
  return WIDTH[a] <= WIDTH[b] ? a : b;
}

/** What row and rules say together; undefined: not published. What the rules no longer allow is not published any more either. */
function inForce(
  ctx: Context,
  sandbox: SandboxRow,
  rules: PortRules,
  port: number,
  row: PublishedPortRow | undefined,
): Publication | undefined {
  const of = { sandboxId: sandbox.id, tenant: sandbox.tenant, project: sandbox.project, port, generation: sandbox.generation };
  const widest = rules.widest(port);
  if (widest === undefined) return undefined;
  if (row === undefined) {
    const listed = rules.listed(port);
    if (listed === undefined) return undefined;
    return { ...of, visibility: narrower(listed, widest), source: "profile", serial: 0, expiresAt: null };
  }
  const { visibility, generation, serial, expires_at: expiresAt } = row;
  if (visibility === null || generation !== sandbox.generation || (expiresAt !== null && expiresAt <= ctx.clock.now())) return undefined;
  return { ...of, visibility: narrower(visibility, widest), source: "request", serial, expiresAt };
}

/** One that stands still and is woken by use can be. */
function canBeVisited(sandbox: SandboxRow): boolean {
  return TRANSITIONS[sandbox.state].use !== undefined || wakesOnUse(sandbox);
}

/** What can be visited now. A sandbox that is not there, not in use or another's port: undefined, all alike. */
export async function published(ctx: Context, id: string, port: number): Promise<Publication | undefined> {
  if (!isId("sandbox", id)) return undefined;
  const sandbox = await findSandbox(ctx.ledger.db, id);
  if (sandbox === undefined || !canBeVisited(sandbox)) return undefined;
  const rules = await portRules(ctx, sandbox);
  return inForce(ctx, sandbox, rules, port, await findPublishedPort(ctx.ledger.db, id, port));
}

export async function listPublished(ctx: Context, who: Principal, id: string): Promise<Publication[]> {
  const sandbox = await accessibleSandbox(ctx, who, id);
  if (!canBeVisited(sandbox)) return [];
  const rules = await portRules(ctx, sandbox);
  const rows = new Map((await publishedPortsOf(ctx.ledger.db, id)).map((row) => [row.port, row]));
  const ports = [...new Set([...rules.ports, ...rows.keys()])].sort((a, b) => a - b);
  return ports.flatMap((port) => inForce(ctx, sandbox, rules, port, rows.get(port)) ?? []);
}

function denied(field: string, message: string, nearest?: string): SandboxerError {
  return new SandboxerError("policy_denied", `${field}: ${message}`, {
    phase: "ports",
    hint: "List it under network.ports or network.publish of the profile, or under preview.publish of the server's configuration.",
    issues: [{ path: field, message, ...(nearest === undefined ? {} : { nearest }) }],
  });
}

/** Publishes a port, or changes how it is. Only as wide as the profile or the operator allows; a wider wish is refused, not narrowed. */
export async function publish(ctx: Context, who: Principal, id: string, input: PublishRequest): Promise<Publication> {
  const { port, visibility = "private", ttl } = parse(PublishRequest, input, { what: "port" });
  const target = await usable(ctx, who, id);
  requireCapability(target, "ports.http", "port");
  requireCapability(target, "ports.dynamic", "port");
  if (visibility === "token") requireCapability(target, "ports.signed", "visibility");
  const rules = await portRules(ctx, target.row);
  const widest = rules.widest(port);
  if (widest === undefined) throw denied("port", `neither the profile nor the operator lets port ${port} be published`);
  if (WIDTH[visibility] > WIDTH[widest]) throw denied("visibility", `port ${port} may be ${widest} at most, not ${visibility}`, widest);
  const at = ctx.clock.now();
  const { generation, tenant } = target.row;
  const expiresAt = ttl === undefined ? null : at + Math.ceil(ttl * 1000);
  const row = await ctx.ledger.transaction(async (tx) => {
    const written = await writePublishedPort(tx, { sandbox_id: id, port, visibility, generation, expires_at: expiresAt });
    await appendEvent(tx, {
      type: "port.published",
      at,
      tenant,
      sandboxId: id,
      data: { port, visibility, expires_at: expiresAt, key_id: who.key_id },
    });
    await audit(tx, who, { action: "port.published", at, target: id, detail: { port, visibility, expires_at: expiresAt } });
    return written;
  });
  // Whoever was let in under what held before asks again.
  ctx.live.abortConnections(id, port);
  const now = inForce(ctx, target.row, rules, port, row);
  if (now === undefined) throw new SandboxerError("internal", `port ${port} was published and is not`);
  return now;
}

/** Takes a port back, also one that the profile lists, for the rest of this sandbox's life. */
export async function unpublish(ctx: Context, who: Principal, id: string, port: number): Promise<void> {
  const { row } = await usable(ctx, who, id);
  if ((await published(ctx, id, port)) === undefined)
    throw new SandboxerError("not_found", `port ${port} of sandbox ${id} is not published`);
  const at = ctx.clock.now();
  await ctx.ledger.transaction(async (tx) => {
    await writePublishedPort(tx, { sandbox_id: id, port, visibility: null, generation: row.generation, expires_at: null });
    await appendEvent(tx, { type: "port.unpublished", at, tenant: row.tenant, sandboxId: id, data: { port, key_id: who.key_id } });
    await audit(tx, who, { action: "port.unpublished", at, target: id, detail: { port } });
  });
  ctx.live.abortConnections(id, port);
}

/** Uses up a one-time address; false where it was used before. */
export async function redeem(ctx: Context, grant: string, expiresAt: number): Promise<boolean> {
  try {
    await ctx.ledger.transaction(async (tx) => {
      await insertPortGrant(tx, grant, expiresAt);
      // A minute more than they hold, for clocks that were set back a little.
      await forgetPortGrants(tx, ctx.clock.now() - 60_000);
    });
    return true;
  } catch (thrown) {
    if (isUniqueViolation(thrown)) return false;
    throw thrown;
  }
}

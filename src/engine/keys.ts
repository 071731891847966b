import { randomBytes } from "node:crypto";
import {
  type KeyInfo, KeyRequest, KeyRotation, newId, parse, type Principal, ROLES, type Scope, SandboxerError,
} from "../contract/index.ts"; // prettier-ignore
import {
  appendEvent, type Db, findKey, findKeyByHash, findSandbox, findTenant, insertKey, type KeyRow, listKeys, updateKey,
} from "../ledger/index.ts"; // prettier-ignore
import { audit } from "./audit.ts";
import { sha256 } from "./canonical.ts";
import type { Context } from "./context.ts";
import type { Engine } from "./engine.ts";
import { principalOf } from "./policy/impact.ts";
import { requireProject } from "./projects.ts";
import { ensureTenant } from "./tenants.ts";

const FORM = /^sbx_[0-9a-f]{40}$/;
/** `last_used_at` is written at most this often. */
const USED_EVERY_MS = 60_000;
/** How long the secret of before a rotation works, unless it is said. */
const OVERLAP_SECONDS = 3600;

const newSecret = () => `sbx_${randomBytes(20).toString("hex")}`;
const later = (now: number, seconds: number) => now + Math.ceil(seconds * 1000);

function toInfo(row: KeyRow): KeyInfo {
  const time = (ms: number | null) => (ms === null ? null : new Date(ms).toISOString());
  return {
    id: row.id,
    object: "key",
    name: row.name,
    tenant: row.tenant,
    project: row.project,
    role: row.role,
    scopes: JSON.parse(row.scopes) as Scope[],
    labels: JSON.parse(row.labels) as string[],
    created_at: new Date(row.created_at).toISOString(),
    expires_at: time(row.expires_at),
    rotated_at: time(row.rotated_at),
    old_secret_until: time(row.old_until),
    revoked_at: time(row.revoked_at),
    last_used_at: time(row.last_used_at),
  };
}

/** The scopes of a new key: what was asked for, within the role's. */
function scopesFor({ role, scopes, project }: KeyRequest): readonly Scope[] {
  const refuse = (path: string, message: string) =>
    new SandboxerError("invalid_request", `${path}: ${message}`, { issues: [{ path, message }] });
  const own: readonly Scope[] | undefined =
    role !== undefined && Object.hasOwn(ROLES, role) ? ROLES[role as keyof typeof ROLES].scopes : undefined;
  if (role !== undefined && own === undefined && scopes === undefined)
    throw refuse(
      "scopes",
      `"${role}" is a role of your own, which has no scopes by itself: give them, or one of ${Object.keys(ROLES).join(", ")}`,
    );
  const wanted = scopes ?? own ?? ["read", "write"];
  const beyond = own === undefined ? [] : wanted.filter((scope) => !own.includes(scope));
  if (beyond.length > 0) throw refuse("scopes", `the role ${role ?? ""} does not have ${beyond.join(", ")}`);
  if (project !== undefined && wanted.includes("admin"))
    throw refuse("project", "a key with the scope admin sees every tenant, and is in no project");
  return wanted;
}

async function create(ctx: Context, who: Principal, input: KeyRequest): Promise<{ key: KeyInfo; secret: string }> {
  const request = parse(KeyRequest, input, { what: "key" });
  const { tenant = who.tenant, project, role, labels = [], expires_in: life } = request;
  const secret = newSecret();
  const at = ctx.clock.now();
  const row: KeyRow = {
    id: newId("key"),
    hash: sha256(secret),
    name: request.name,
    tenant,
    project: project ?? null,
    role: role ?? null,
    scopes: JSON.stringify(scopesFor(request)),
    labels: JSON.stringify(labels),
    created_at: at,
    expires_at: life === undefined ? null : later(at, life),
    rotated_at: null,
    old_hash: null,
    old_until: null,
    revoked_at: null,
    last_used_at: null,
  };
  await ctx.ledger.transaction(
    async (tx) => {
      await ensureTenant(tx, tenant, at);
      if (project !== undefined) await requireProject(tx, tenant, project);
      await insertKey(tx, row);
      const data = { key_id: row.id, name: row.name, role: row.role, project: row.project, by: who.key_id };
      await appendEvent(tx, { type: "key.created", at, tenant, sandboxId: null, data });
      const detail = { name: row.name, tenant, scopes: JSON.parse(row.scopes) as unknown, role: row.role, project: row.project };
      await audit(tx, who, { action: "key.created", at, target: row.id, detail });
    },
    { durable: true },
  );
  return { key: toInfo(row), secret };
}

async function present(tx: Db, id: string): Promise<KeyRow> {
  const row = await findKey(tx, id);
  if (row === undefined)
    throw new SandboxerError("not_found", `there is no key ${id}`, { hint: "List the keys with 'sand-boxer keys ls'." });
  return row;
}

/** Holds from the moment it returns: every call looks the key up. */
async function revoke(ctx: Context, who: Principal, id: string): Promise<KeyInfo> {
  const at = ctx.clock.now();
  return ctx.ledger.transaction(
    async (tx) => {
      const row = await present(tx, id);
      if (row.revoked_at !== null) return toInfo(row);
      const patch = { revoked_at: at, old_hash: null, old_until: null };
      await updateKey(tx, id, patch);
      await appendEvent(tx, { type: "key.revoked", at, tenant: row.tenant, sandboxId: null, data: { key_id: id, by: who.key_id } });
      await audit(tx, who, { action: "key.revoked", at, target: id, detail: { tenant: row.tenant } });
      return toInfo({ ...row, ...patch });
    },
    { durable: true },
  );
}

/** The key stays what it is: its id, its quotas and what it has made are the same under the new secret. */
async function rotate(ctx: Context, who: Principal, id: string, input: KeyRotation): Promise<{ key: KeyInfo; secret: string }> {
  const { overlap = OVERLAP_SECONDS, expires_in: life } = parse(KeyRotation, input, { what: "rotation" });
  const secret = newSecret();
  const at = ctx.clock.now();
  const key = await ctx.ledger.transaction(
    async (tx) => {
      const row = await present(tx, id);
      if (row.revoked_at !== null) throw new SandboxerError("conflict", `key ${id} is revoked, and a revoked key has no new secret`);
      const patch = {
        hash: sha256(secret),
        rotated_at: at,
        old_hash: overlap > 0 ? row.hash : null,
        old_until: overlap > 0 ? later(at, overlap) : null,
        ...(life === undefined ? {} : { expires_at: later(at, life) }),
      };
      await updateKey(tx, id, patch);
      const data = { key_id: id, old_until: patch.old_until, by: who.key_id };
      await appendEvent(tx, { type: "key.rotated", at, tenant: row.tenant, sandboxId: null, data });
      await audit(tx, who, { action: "key.rotated", at, target: id, detail: { tenant: row.tenant, old_until: patch.old_until } });
      return toInfo({ ...row, ...patch });
    },
    { durable: true },
  );
  return { key, secret };
}

/** Whether a key opens anything now. */
async function works(db: Db, row: KeyRow, now: number): Promise<boolean> {
  if (row.revoked_at !== null || (row.expires_at !== null && row.expires_at <= now)) return false;
  return ((await findTenant(db, row.tenant))?.suspended_at ?? null) === null;
}

/** Hashed and looked up whatever is presented; a presented secret is compared only as its hash. */
async function authenticate(ctx: Context, secret: string): Promise<Principal | undefined> {
  const now = ctx.clock.now();
  const row = await findKeyByHash(ctx.ledger.db, sha256(secret), now);
  if (row === undefined || !FORM.test(secret) || !(await works(ctx.ledger.db, row, now))) return undefined;
  if (ctx.ledger.readOnly === null && (row.last_used_at === null || Math.abs(now - row.last_used_at) >= USED_EVERY_MS)) {
    await updateKey(ctx.ledger.db, row.id, { last_used_at: now }).catch((thrown: unknown) =>
      ctx.log.warn({ key: row.id, error: String(thrown) }, "the use of a key could not be written"),
    );
  }
  return principalOf(row);
}

/** Whether a key, by its id, still works. */
export async function holds(ctx: Context, id: string): Promise<boolean> {
  const row = await findKey(ctx.ledger.db, id);
  return row !== undefined && works(ctx.ledger.db, row, ctx.clock.now());
}

async function makerOf(ctx: Context, sandboxId: string): Promise<{ who: Principal; metadata: Record<string, string> }> {
  const row = await findSandbox(ctx.ledger.db, sandboxId);
  if (row === undefined) throw new SandboxerError("sandbox_not_found", `there is no sandbox ${sandboxId}`);
  const key = row.key_id === null ? undefined : await findKey(ctx.ledger.db, row.key_id);
  const own = { tenant: row.tenant, key_id: null, ...(row.project === null ? {} : { project: row.project }) };
  const maker: Omit<Principal, "scopes"> = key === undefined ? own : principalOf(key);
  // An admin of one tenant may have made it for another: the token is of the sandbox's.
  const who: Principal = { ...maker, tenant: row.tenant, scopes: ["read", "write"] };
  return { who, metadata: JSON.parse(row.metadata) as Record<string, string> };
}

export function keys(ctx: Context): Engine["keys"] {
  return {
    create: (who, request) => create(ctx, who, request),
    list: async () => (await listKeys(ctx.ledger.db)).map(toInfo),
    revoke: (who, id) => revoke(ctx, who, id),
    rotate: (who, id, request) => rotate(ctx, who, id, request),
    makerOf: (id) => makerOf(ctx, id),
    holds: (id) => holds(ctx, id),
    authenticate: (secret) => authenticate(ctx, secret),
  };
}

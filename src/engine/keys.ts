import { randomBytes } from "node:crypto";
import { type KeyInfo, KeyRequest, newId, parse, type Principal, type Scope, SandboxerError } from "../contract/index.ts";
import { appendEvent, findKey, findKeyByHash, insertKey, type KeyRow, listKeys, updateKey } from "../ledger/index.ts";
import { requireAdmin } from "./access.ts";
import { audit } from "./audit.ts";
import { sha256 } from "./canonical.ts";
import type { Context } from "./context.ts";
import type { Engine } from "./engine.ts";

const FORM = /^sbx_[0-9a-f]{40}$/;
/** `last_used_at` is written at most this often. */
const USED_EVERY_MS = 60_000;

function toInfo(row: KeyRow): KeyInfo {
  const time = (ms: number | null) => (ms === null ? null : new Date(ms).toISOString());
  return {
    id: row.id,
    object: "key",
    name: row.name,
    tenant: row.tenant,
    scopes: JSON.parse(row.scopes) as Scope[],
    created_at: new Date(row.created_at).toISOString(),
    revoked_at: time(row.revoked_at),
    last_used_at: time(row.last_used_at),
  };
}

async function create(ctx: Context, who: Principal, input: KeyRequest): Promise<{ key: KeyInfo; secret: string }> {
  requireAdmin(who, "making a key");
  const request = parse(KeyRequest, input, { what: "key" });
  const secret = `sbx_${randomBytes(20).toString("hex")}`;
  const row: KeyRow = {
    id: newId("key"),
    hash: sha256(secret),
    name: request.name,
    tenant: request.tenant ?? who.tenant,
    scopes: JSON.stringify(request.scopes ?? ["read", "write"]),
    created_at: ctx.clock.now(),
    revoked_at: null,
    last_used_at: null,
  };
  await ctx.ledger.transaction(
    async (tx) => {
      await insertKey(tx, row);
      await appendEvent(tx, {
        type: "key.created",
        at: row.created_at,
        tenant: row.tenant,
        sandboxId: null,
        data: { key_id: row.id, name: row.name },
      });
      const detail = { name: row.name, tenant: row.tenant, scopes: JSON.parse(row.scopes) as unknown };
      await audit(tx, who, { action: "key.created", at: row.created_at, target: row.id, detail });
    },
    { durable: true },
  );
  return { key: toInfo(row), secret };
}

/** Holds from the moment it returns: every call looks the key up. */
async function revoke(ctx: Context, who: Principal, id: string): Promise<KeyInfo> {
  requireAdmin(who, "revoking a key");
  const at = ctx.clock.now();
  return ctx.ledger.transaction(
    async (tx) => {
      const row = await findKey(tx, id);
      if (row === undefined)
        throw new SandboxerError("not_found", `there is no key ${id}`, { hint: "List the keys with 'sand-boxer keys ls'." });
      if (row.revoked_at !== null) return toInfo(row);
      await updateKey(tx, id, { revoked_at: at });
      await appendEvent(tx, { type: "key.revoked", at, tenant: row.tenant, sandboxId: null, data: { key_id: id } });
      await audit(tx, who, { action: "key.revoked", at, target: id, detail: { tenant: row.tenant } });
      return toInfo({ ...row, revoked_at: at });
    },
    { durable: true },
  );
}

/** One hash and one indexed look-up whatever is presented; a presented secret is compared only as its hash. */
async function authenticate(ctx: Context, secret: string): Promise<Principal | undefined> {
  const row = await findKeyByHash(ctx.ledger.db, sha256(secret));
  if (row === undefined || row.revoked_at !== null || !FORM.test(secret)) return undefined;
  const now = ctx.clock.now();
  if (ctx.ledger.readOnly === null && (row.last_used_at === null || Math.abs(now - row.last_used_at) >= USED_EVERY_MS)) {
    await updateKey(ctx.ledger.db, row.id, { last_used_at: now }).catch((thrown: unknown) =>
      ctx.log.warn({ key: row.id, error: String(thrown) }, "the use of a key could not be written"),
    );
  }
  return { tenant: row.tenant, key_id: row.id, scopes: JSON.parse(row.scopes) as Scope[] };
}

export function keys(ctx: Context): Engine["keys"] {
  return {
    create: (who, request) => create(ctx, who, request),
    async list(who) {
      requireAdmin(who, "listing keys");
      return (await listKeys(ctx.ledger.db)).map(toInfo);
    },
    revoke: (who, id) => revoke(ctx, who, id),
    holds: async (id) => (await findKey(ctx.ledger.db, id))?.revoked_at === null,
    authenticate: (secret) => authenticate(ctx, secret),
  };
}

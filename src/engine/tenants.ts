import { parse, SandboxerError, type TenantInfo, TenantName, TenantRequest } from "../contract/index.ts";
import {
  appendEvent,
  countKeys,
  countLive,
  type Db,
  findTenant,
  insertTenant,
  listTenants,
  suspendTenant,
  type TenantRow,
} from "../ledger/index.ts";
import { audit } from "./audit.ts";
import type { TenantVerbs } from "./access-verbs.ts";
import { sumOf } from "./admission.ts";
import type { Context } from "./context.ts";

/** Makes the tenant where it is not there yet. */
export async function ensureTenant(tx: Db, name: string, at: number): Promise<void> {
  if ((await findTenant(tx, name)) === undefined) await insertTenant(tx, { name, description: null, created_at: at, suspended_at: null });
}

async function infosOf(ctx: Context, rows: readonly TenantRow[]): Promise<TenantInfo[]> {
  const [keys, live] = [await countKeys(ctx.ledger.db, ctx.clock.now()), await countLive(ctx.ledger.db)];
  return rows.map(({ name, description, created_at, suspended_at }) => ({
    object: "tenant",
    name,
    description,
    created_at: new Date(created_at).toISOString(),
    suspended_at: suspended_at === null ? null : new Date(suspended_at).toISOString(),
    keys: keys.reduce((sum, row) => sum + (row.tenant === name ? row.count : 0), 0),
    sandboxes: sumOf(live, (row) => row.tenant === name),
  }));
}

async function infoOf(ctx: Context, name: string): Promise<TenantInfo> {
  const row = await findTenant(ctx.ledger.db, name);
  const [info] = row === undefined ? [] : await infosOf(ctx, [row]);
  if (info === undefined) throw new SandboxerError("not_found", `there is no tenant "${name}"`);
  return info;
}

export function tenants(ctx: Context): TenantVerbs {
  return {
    async create(who, input) {
      const { name, description = null } = parse(TenantRequest, input, { what: "tenant" });
      const at = ctx.clock.now();
      await ctx.ledger.transaction(
        async (tx) => {
          if ((await findTenant(tx, name)) !== undefined) throw new SandboxerError("conflict", `there is a tenant "${name}" already`);
          await insertTenant(tx, { name, description, created_at: at, suspended_at: null });
          await appendEvent(tx, { type: "tenant.created", at, tenant: name, sandboxId: null, data: { key_id: who.key_id } });
          await audit(tx, who, { action: "tenant.created", at, target: name });
        },
        { durable: true },
      );
      return infoOf(ctx, name);
    },
    list: async () => infosOf(ctx, await listTenants(ctx.ledger.db)),
    async suspend(who, given, suspended) {
      const name = parse(TenantName, given, { what: "tenant" });
      const at = ctx.clock.now();
      await ctx.ledger.transaction(
        async (tx) => {
          const row = await findTenant(tx, name);
          if (row === undefined) throw new SandboxerError("not_found", `there is no tenant "${name}"`);
          if ((row.suspended_at !== null) === suspended) return;
          await suspendTenant(tx, name, suspended ? at : null);
          const type = suspended ? "tenant.suspended" : "tenant.resumed";
          await appendEvent(tx, { type, at, tenant: name, sandboxId: null, data: { key_id: who.key_id } });
          await audit(tx, who, { action: type, at, target: name });
        },
        { durable: true },
      );
      return infoOf(ctx, name);
    },
  };
}

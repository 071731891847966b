import { parse, type Principal, type SecretInfo, SecretName, SecretRequest, SandboxerError } from "../contract/index.ts";
import { appendEvent, type Db, findSecret, listSecrets, liveBindings, putSecret, type SecretRow } from "../ledger/index.ts";
import { audit } from "./audit.ts";
import type { Context } from "./context.ts";
import type { Engine } from "./engine.ts";
import { deliverTo } from "./secret-delivery.ts";
import { contextOf } from "./secret-value.ts";

/** Of one tenant, with a value. */
const MAX_SECRETS = 1000;

/** What a change of a secret is told by: its name and version, never more. */
type Change = "secret.set" | "secret.rotated" | "secret.removed";

function toInfo(row: SecretRow, sandboxes: string[]): SecretInfo {
  const time = (ms: number | null) => (ms === null ? null : new Date(ms).toISOString());
  return {
    object: "secret",
    name: row.name,
    tenant: row.tenant,
    version: row.version,
    hosts: row.hosts === null ? null : (JSON.parse(row.hosts) as string[]),
    created_at: new Date(row.created_at).toISOString(),
    rotated_at: time(row.rotated_at),
    last_used_at: time(row.last_used_at),
    removed_at: time(row.removed_at),
    sandboxes,
  };
}

/** Live sandboxes by the name of the secret that they are bound to. */
async function boundTo(ctx: Context, tenant: string): Promise<Map<string, string[]>> {
  const found = new Map<string, string[]>();
  for (const { sandbox_id, secret } of await liveBindings(ctx.ledger.db, tenant))
    found.set(secret, [...(found.get(secret) ?? []), sandbox_id]);
  return found;
}

/** Live sandboxes of a tenant that a stored secret is bound to. */
export async function sandboxesWithSecret(ctx: Context, tenant: string, name: string): Promise<string[]> {
  return (await boundTo(ctx, tenant)).get(name) ?? [];
}

/** The row and its event in one synced transaction, then every boundary that has the value: who is answered knows that it holds. */
async function change(
  ctx: Context,
  who: Principal,
  given: string,
  work: (tx: Db, name: string, at: number) => Promise<{ row: SecretRow; told: Change | null }>,
): Promise<SecretInfo> {
  const name = parse(SecretName, given, { what: "name" });
  const at = ctx.clock.now();
  const row = await ctx.ledger.transaction(
    async (tx) => {
      const { row, told } = await work(tx, name, at);
      const data = { name, version: row.version, key_id: who.key_id };
      if (told === null) return row;
      await appendEvent(tx, { type: told, at, tenant: who.tenant, sandboxId: null, data });
      await audit(tx, who, { action: told, at, target: name, detail: { version: row.version } });
      return row;
    },
    { durable: true },
  );
  const sandboxes = await sandboxesWithSecret(ctx, who.tenant, name);
  await deliverTo(ctx, sandboxes);
  return toInfo(row, sandboxes);
}

/** The next version of a name, sealed for that version alone. */
function next(
  ctx: Context,
  who: Principal,
  name: string,
  at: number,
  { value, hosts }: SecretRequest,
  before: SecretRow | undefined,
): SecretRow {
  const version = (before?.version ?? 0) + 1;
  const live = before?.removed_at === null;
  return {
    tenant: who.tenant,
    name,
    version,
    value: ctx.sealer().seal(value, contextOf(who.tenant, name, version)),
    hosts: hosts === undefined ? (live ? before.hosts : null) : JSON.stringify(hosts),
    created_at: live ? before.created_at : at,
    rotated_at: live ? at : null,
    last_used_at: live ? before.last_used_at : null,
    removed_at: null,
  };
}

async function set(
  ctx: Context,
  who: Principal,
  given: string,
  input: SecretRequest,
  { replace = false }: { replace?: boolean },
): Promise<SecretInfo> {
  const request = parse(SecretRequest, input, { what: "secret" });
  return change(ctx, who, given, async (tx, name, at) => {
    const before = await findSecret(tx, who.tenant, name);
    const live = before?.removed_at === null;
    if (live && !replace)
      throw new SandboxerError("conflict", `there is a secret "${name}" already, version ${before.version}`, {
        hint: `Give it a new value with 'sand-boxer secrets rotate ${name}', or choose another name.`,
      });
    if (!live && (await listSecrets(tx, who.tenant)).length >= MAX_SECRETS)
      throw new SandboxerError("quota_exceeded", `this tenant has ${MAX_SECRETS} secrets`, {
        hint: "Remove those that are no longer needed.",
      });
    const row = next(ctx, who, name, at, request, before);
    await putSecret(tx, row);
    return { row, told: live ? "secret.rotated" : "secret.set" };
  });
}

async function rotate(ctx: Context, who: Principal, given: string, input: SecretRequest): Promise<SecretInfo> {
  const request = parse(SecretRequest, input, { what: "secret" });
  return change(ctx, who, given, async (tx, name, at) => {
    const before = await findSecret(tx, who.tenant, name);
    if (before?.removed_at !== null) throw absent(name);
    const row = next(ctx, who, name, at, request, before);
    await putSecret(tx, row);
    return { row, told: "secret.rotated" };
  });
}

async function remove(ctx: Context, who: Principal, given: string): Promise<SecretInfo> {
  return change(ctx, who, given, async (tx, name, at) => {
    const before = await findSecret(tx, who.tenant, name);
    if (before === undefined) throw absent(name);
    if (before.removed_at !== null) return { row: before, told: null };
    const row: SecretRow = { ...before, value: null, removed_at: at };
    await putSecret(tx, row);
    return { row, told: "secret.removed" };
  });
}

function absent(name: string): SandboxerError {
  return new SandboxerError("secret_not_found", `there is no secret "${name}"`);
}

export function secrets(ctx: Context): Engine["secrets"] {
  return {
    set: (who, name, request, options = {}) => set(ctx, who, name, request, options),
    rotate: (who, name, request) => rotate(ctx, who, name, request),
    remove: (who, name) => remove(ctx, who, name),
    async list(who) {
      const bound = await boundTo(ctx, who.tenant);
      return (await listSecrets(ctx.ledger.db, who.tenant)).map((row) => toInfo(row, bound.get(row.name) ?? []));
    },
  };
}

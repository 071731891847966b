import {
  newId, parse, type Principal, SandboxerError, toCloudEvent, WebhookChange, type WebhookDelivery, type WebhookInfo, WebhookReplay,
  WebhookRequest, type WebhookTestResult,
} from "../../contract/index.ts"; // prettier-ignore
import {
  appendEvent, type Db, findWebhook, forgetDeliveries, insertWebhook, listDeliveries, listWebhooks, newestEvent, requeueDead, updateWebhook,
  type WebhookPatch, type WebhookRow,
} from "../../ledger/index.ts"; // prettier-ignore
import { isLocalOperator } from "../../guard/index.ts";
import { requireAdmin } from "../access.ts";
import { audit } from "../audit.ts";
import type { Context } from "../context.ts";
import type { Engine } from "../engine.ts";
import { checkUrl } from "./check-url.ts";
import { sealContext, Sender } from "./send.ts";
import { newWebhookSecret } from "./signature.ts";
import { eventSource } from "./source.ts";
import { toWebhookInfo } from "./webhook-info.ts";

const MAX_PER_TENANT = 20;
const MAX_ATTEMPTS = 16;
/** How long the secret before a rotation signs too. */
const OVERLAP_MS = 24 * 3600_000;

/** Events of a tenant are not told by project: a key that is confined to one would be told of the others. */
function unconfined({ project }: Principal): void {
  if (project === undefined) return;
  throw new SandboxerError("forbidden", `webhooks are of a whole tenant, and this key is confined to the project "${project}"`, {
    hint: "Use a key of the whole tenant, or follow events with this one.",
  });
}

async function own(db: Db, who: Principal, id: string): Promise<WebhookRow> {
  unconfined(who);
  const row = await findWebhook(db, id);
  if (row !== undefined && (row.tenant === who.tenant || who.scopes.includes("admin"))) return row;
  throw new SandboxerError("not_found", `there is no webhook ${id}`, { hint: "List the webhooks with 'sand-boxer webhook ls'." });
}

/** A change, its event and its line in the audit log, all or nothing. */
async function change(
  ctx: Context,
  who: Principal,
  id: string,
  what: string,
  work: (tx: Db, row: WebhookRow, at: number) => Promise<WebhookPatch>,
): Promise<WebhookInfo> {
  const at = ctx.clock.now();
  const row = await ctx.ledger.transaction(
    async (tx) => {
      const before = await own(tx, who, id);
      const patch = await work(tx, before, at);
      await updateWebhook(tx, id, patch);
      const type = what === "removed" ? "webhook.removed" : "webhook.changed";
      await appendEvent(tx, {
        type,
        at,
        tenant: before.tenant,
        sandboxId: null,
        data: { webhook_id: id, change: what, key_id: who.key_id },
      });
      await audit(tx, who, { action: `webhook.${what}`, at, target: id, detail: { tenant: before.tenant } });
      return { ...before, ...patch } as WebhookRow;
    },
    { durable: true },
  );
  return toWebhookInfo(ctx.ledger.db, row);
}

async function add(ctx: Context, who: Principal, input: WebhookRequest): Promise<{ webhook: WebhookInfo; secret: string }> {
  unconfined(who);
  const request = parse(WebhookRequest, input, { what: "webhook" });
  if (request.all_tenants === true) requireAdmin(who, "a webhook for all tenants");
  const trusted = isLocalOperator(who);
  checkUrl(ctx.config.webhooks ?? {}, request.url, trusted);
  const id = newId("webhook");
  const secret = newWebhookSecret();
  const at = ctx.clock.now();
  const row = await ctx.ledger.transaction(
    async (tx) => {
      const most = ctx.config.webhooks?.max_per_tenant ?? MAX_PER_TENANT;
      if ((await listWebhooks(tx, who.tenant)).length >= most)
        throw new SandboxerError("quota_exceeded", `this tenant has ${most} webhooks`, { hint: "Remove those that are no longer needed." });
      const newest = await newestEvent(tx);
      const row: WebhookRow = {
        id, tenant: who.tenant, url: request.url, types: request.types === undefined ? null : JSON.stringify(request.types),
        format: request.format ?? "structured", description: request.description ?? "", all_tenants: request.all_tenants === true ? 1 : 0,
        trusted: trusted ? 1 : 0, max_attempts: request.max_attempts ?? MAX_ATTEMPTS, secret: ctx.sealer().seal(secret, sealContext(id, 1)),
        previous_secret: null, previous_until: null, secret_version: 1, enabled: 1, disabled_reason: null,
        cursor_seq: Math.min(request.after ?? newest, newest), failures: 0, last_status: null, last_error: null, last_attempt_at: null,
        last_success_at: null, next_attempt_at: null, leased_by: null, leased_until: null, created_at: at, rotated_at: null, removed_at: null,
      }; // prettier-ignore
      await insertWebhook(tx, row);
      const data = { webhook_id: id, host: new URL(request.url).host, all_tenants: request.all_tenants === true, key_id: who.key_id };
      await appendEvent(tx, { type: "webhook.added", at, tenant: who.tenant, sandboxId: null, data });
      await audit(tx, who, { action: "webhook.added", at, target: id, detail: { host: data.host, all_tenants: data.all_tenants } });
      return row;
    },
    { durable: true },
  );
  return { webhook: await toWebhookInfo(ctx.ledger.db, row), secret };
}

function update(ctx: Context, who: Principal, id: string, input: WebhookChange): Promise<WebhookInfo> {
  const { enabled, types, description } = parse(WebhookChange, input, { what: "webhook" });
  return change(ctx, who, id, enabled === undefined ? "changed" : enabled ? "enabled" : "disabled", async () => ({
    ...(enabled === undefined ? {} : { enabled: enabled ? 1 : 0, disabled_reason: null, failures: 0, next_attempt_at: null }),
    ...(types === undefined ? {} : { types: types === null ? null : JSON.stringify(types) }),
    ...(description === undefined ? {} : { description }),
  }));
}

async function rotate(ctx: Context, who: Principal, id: string): Promise<{ webhook: WebhookInfo; secret: string }> {
  const secret = newWebhookSecret();
  const webhook = await change(ctx, who, id, "rotated", async (_tx, row, at) => ({
    previous_secret: row.secret,
    previous_until: at + OVERLAP_MS,
    secret: ctx.sealer().seal(secret, sealContext(id, row.secret_version + 1)),
    secret_version: row.secret_version + 1,
    rotated_at: at,
  }));
  return { webhook, secret };
}

/** One event of its own kind, sent now and once; nothing is written down and nothing else waits for it. */
async function test(ctx: Context, who: Principal, id: string, signal: AbortSignal): Promise<WebhookTestResult> {
  const row = await own(ctx.ledger.db, who, id);
  const began = performance.now();
  const at = new Date(ctx.clock.now()).toISOString();
  const told = { seq: 0, type: "webhook.test", at, tenant: row.tenant, sandbox_id: null, data: { webhook_id: id } };
  const event = { ...toCloudEvent(told, await eventSource(ctx)), id: `test-${newId("event")}` };
  const sender = new Sender(ctx);
  try {
    const { result, status, error } = await sender.send(row, [event], { batch: row.format === "batch", signal });
    const duration_ms = Math.round(performance.now() - began);
    return { object: "webhook_test", delivered: result === "ok", status, error, duration_ms };
  } finally {
    sender.close();
  }
}

function replay(ctx: Context, who: Principal, id: string, input: WebhookReplay): Promise<WebhookInfo> {
  const { after } = parse(WebhookReplay, input, { what: "replay" });
  return change(ctx, who, id, "replayed", async (tx, row) => {
    const now = { failures: 0, next_attempt_at: null };
    if (after === undefined) {
      await requeueDead(tx, id);
      return now;
    }
    await forgetDeliveries(tx, id, after);
    return { ...now, cursor_seq: Math.min(after, row.cursor_seq) };
  });
}

async function deliveries(
  ctx: Context,
  who: Principal,
  id: string,
  query: { state?: WebhookDelivery["state"]; limit: number },
): Promise<WebhookDelivery[]> {
  await own(ctx.ledger.db, who, id);
  return (await listDeliveries(ctx.ledger.db, id, query)).map(({ seq, type, sandbox_id, state, attempts, status, error, at }) => ({
    object: "webhook_delivery", seq, type, sandbox_id, state, attempts, status, error, at: new Date(at).toISOString(),
  })); // prettier-ignore
}

/** Every verb of webhooks. */
export function webhookVerbs(ctx: Context): Engine["webhooks"] {
  const { db } = ctx.ledger;
  return {
    add: (who, request) => add(ctx, who, request),
    list: async (who) => {
      unconfined(who);
      const rows = await listWebhooks(db, who.scopes.includes("admin") ? undefined : who.tenant);
      return Promise.all(rows.map((row) => toWebhookInfo(db, row)));
    },
    get: async (who, id) => toWebhookInfo(db, await own(db, who, id)),
    update: (who, id, input) => update(ctx, who, id, input),
    // The row stays, for its events; the secrets go.
    remove: async (who, id) =>
      change(ctx, who, id, "removed", async (_tx, _row, at) => ({ removed_at: at, enabled: 0, secret: "", previous_secret: null })),
    rotate: (who, id) => rotate(ctx, who, id),
    test: (who, id, signal) => test(ctx, who, id, signal),
    replay: (who, id, input) => replay(ctx, who, id, input),
    deliveries: (who, id, query) => deliveries(ctx, who, id, query),
  };
}

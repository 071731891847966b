/**
 * Webhooks, each a cursor over the events and not a queue of its own, with what did not go the plain way; and the audit log,
 * whose rows are chained by their hashes.
 */
export const hub = [
  `create table webhooks (
    id text primary key, tenant text not null, url text not null, types text, format text not null, description text not null,
    all_tenants bigint not null, trusted bigint not null, max_attempts bigint not null, secret text not null,
    previous_secret text, previous_until bigint, secret_version bigint not null, enabled bigint not null, disabled_reason text,
    cursor_seq bigint not null, failures bigint not null, last_status bigint, last_error text, last_attempt_at bigint,
    last_success_at bigint, next_attempt_at bigint, leased_by text, leased_until bigint, created_at bigint not null,
    rotated_at bigint, removed_at bigint)`,
  `create index webhooks_by_tenant on webhooks (tenant, id) where removed_at is null`,
  `create table webhook_deliveries (
    webhook_id text not null references webhooks (id), seq bigint not null, state text not null, attempts bigint not null,
    status bigint, error text, at bigint not null, primary key (webhook_id, seq))`,
  `create index webhook_deliveries_by_state on webhook_deliveries (webhook_id, state, seq)`,
  `create table audit_log (
    seq bigint primary key, at bigint not null, tenant text not null, actor text not null, origin text not null,
    action text not null, target text, result text not null, detail text not null, prev_hash text not null, hash text not null)`,
];

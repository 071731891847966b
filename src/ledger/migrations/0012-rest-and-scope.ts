/**
 * Sandboxes that stand still, what of a stay that was, and keys by which one is found again. The unique index is what makes one of
 * twenty creates with the same key; one that is ending has let go of it.
 */
export const restAndScope = [
  `alter table sandboxes add column persistence text not null default 'ephemeral'`,
  `alter table sandboxes add column on_idle text not null default 'terminate'`,
  `alter table sandboxes add column on_expire text not null default 'terminate'`,
  `alter table sandboxes add column on_use text not null default 'refuse'`,
  `alter table sandboxes add column ttl_seconds double precision`,
  `alter table sandboxes add column rested_at bigint`,
  `alter table sandboxes add column rest_because text`,
  `alter table sandboxes add column canary text`,
  `alter table sandboxes add column scope text`,
  `alter table sandboxes add column scope_key text`,
  `create unique index sandboxes_live_scope on sandboxes (tenant, coalesce(project, ''), profile_name, scope, scope_key)
    where scope_key is not null and ended_at is null and state <> 'stopping'`,
  `create index sandboxes_by_scope on sandboxes (tenant, profile_name, scope, scope_key, id) where scope_key is not null`,
  `alter table usage add column paused_ms bigint not null default 0`,
  `alter table usage add column suspended_ms bigint not null default 0`,
  `alter table usage add column rest_since bigint`,
  `alter table usage add column rest_kind text`,
];

/**
 * Secrets: one row a name, with the present value alone; and what each sandbox was bound to when it was made. `local` says
 * of a profile, and of a binding, that it is the operator's own: only then may a source read this host without a list.
 */
export const secrets = [
  `create table secrets (
    tenant text not null, name text not null, version bigint not null, value text, hosts text, created_at bigint not null,
    rotated_at bigint, last_used_at bigint, removed_at bigint, primary key (tenant, name))`,
  `create table sandbox_secrets (
    sandbox_id text not null references sandboxes (id), name text not null, vault text, local bigint not null,
    source text not null, binding text not null, delivered bigint, primary key (sandbox_id, name))`,
  `alter table profiles add column local bigint not null default 0`,
];

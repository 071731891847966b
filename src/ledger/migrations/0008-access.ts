/**
 * Who may do what: tenants and projects by name, what a key is beside its scopes, quotas, labels that an operator gives profiles,
 * and every version of the policy. A sandbox keeps who began it, for quotas and for rules to be tried on it later.
 */
export const access = [
  `create table tenants (name text primary key, description text, created_at bigint not null, suspended_at bigint)`,
  `create table projects (
    tenant text not null, name text not null, description text, created_at bigint not null, primary key (tenant, name))`,
  `create table quotas (
    subject text primary key, concurrent bigint, creates_per_minute bigint, updated_at bigint not null)`,
  `create table profile_labels (
    tenant text not null, name text not null, version bigint not null, labels text not null, updated_at bigint not null,
    primary key (tenant, name, version))`,
  `create table policies (
    version bigint primary key, digest text not null, files text not null, rules bigint not null, comment text, applied_at bigint not null,
    applied_by text, restores bigint)`,
  `alter table keys add column project text`,
  `alter table keys add column role text`,
  `alter table keys add column labels text not null default '[]'`,
  `alter table keys add column expires_at bigint`,
  `alter table keys add column rotated_at bigint`,
  `alter table keys add column old_hash text`,
  `alter table keys add column old_until bigint`,
  `create index keys_by_old_hash on keys (old_hash)`,
  `alter table sandboxes add column project text`,
  `alter table sandboxes add column key_id text`,
  // Ids sort by time. Partial, so that no plan for a whole tenant takes them for its own.
  `create index sandboxes_by_project on sandboxes (tenant, project, id) where project is not null`,
  `create index sandboxes_by_key on sandboxes (key_id, id) where key_id is not null`,
  `insert into tenants (name, created_at) select tenant, min(created_at) from keys group by tenant`,
];

/**
 * Several control planes over one database: who they are and until when they count as alive, which host alone can reach a
 * sandbox (null: any), and what only one of them does at a time. The indexes are what retention walks by, and what a
 * sandbox's end of keeping looks for.
 */
export const fleet = [
  `alter table sandboxes add column host text`,
  `create index sandboxes_ended on sandboxes (ended_at) where ended_at is not null`,
  `alter table instances add column host text`,
  `alter table instances add column started_at bigint not null default 0`,
  `alter table instances add column lease_until bigint not null default 0`,
  `create table hosts (id text primary key, name text not null, address text, seen_at bigint not null)`,
  `create table leases (name text primary key, holder text not null, held_until bigint not null)`,
  `create index execs_by_sandbox on execs (sandbox_id)`,
  `create index sandbox_metadata_by_sandbox on sandbox_metadata (sandbox_id)`,
  `create table usage_summary (
    tenant text not null, backend text not null, day bigint not null, stays bigint not null, creates bigint not null,
    vcpu_seconds bigint not null, mem_mib_seconds bigint not null, disk_mib_seconds bigint not null,
    egress_bytes_up bigint not null, egress_bytes_down bigint not null, primary key (tenant, backend, day))`,
];

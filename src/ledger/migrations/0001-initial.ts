/**
 * The first schema. Partial indexes over `ended_at is null` keep every question about live sandboxes as cheap with a
 * million finished ones as with none. Ids sort by time, so "newest first" is the primary key read backwards.
 */
export const initial = [
  `create table meta (key text primary key, value text not null)`,
  `create table sandboxes (
    id text primary key, tenant text not null, name text,
    profile_name text not null, profile_version bigint not null, profile_digest text not null,
    backend text not null, ref text, state text not null, desired text not null, generation bigint not null, owner text,
    isolation_min text not null, isolation_effective text, runtime text, isolation_notes text not null,
    resources text not null, narrowed text not null, route text not null, metadata text not null,
    created_at bigint not null, ready_at bigint, last_active_at bigint not null, expires_at bigint not null,
    max_life_at bigint not null, idle_seconds double precision, idle_at bigint, ended_at bigint,
    termination_reason text, termination_detail text, error_code text, error_message text, state_lost bigint not null)`,
  `create index sandboxes_by_tenant on sandboxes (tenant, id)`,
  `create index sandboxes_by_tenant_state on sandboxes (tenant, state, id)`,
  `create index sandboxes_by_state on sandboxes (state, id)`,
  `create index sandboxes_live_tenant on sandboxes (tenant) where ended_at is null`,
  `create index sandboxes_live_state on sandboxes (state, backend) where ended_at is null`,
  `create index sandboxes_live_backend on sandboxes (backend, id) where ended_at is null`,
  `create index sandboxes_live_expiry on sandboxes (expires_at) where ended_at is null`,
  `create index sandboxes_live_max_life on sandboxes (max_life_at) where ended_at is null`,
  `create index sandboxes_live_idle on sandboxes (idle_at) where ended_at is null and idle_at is not null`,
  `create table sandbox_metadata (
    tenant text not null, key text not null, value text not null, sandbox_id text not null references sandboxes (id),
    primary key (tenant, key, value, sandbox_id))`,
  `create index sandbox_metadata_any_tenant on sandbox_metadata (key, value, sandbox_id)`,
  `create table execs (
    id text primary key, sandbox_id text not null references sandboxes (id), tenant text not null, owner text not null,
    started_at bigint not null, ended_at bigint, outcome text, exit_code bigint)`,
  `create index execs_open on execs (sandbox_id) where ended_at is null`,
  `create table processes (
    id text primary key, sandbox_id text not null references sandboxes (id), tenant text not null, command text not null,
    pty bigint not null, started_at bigint not null, ended_at bigint, "end" text, output_bytes bigint not null)`,
  `create index processes_by_sandbox on processes (sandbox_id, id)`,
  `create table profiles (
    tenant text not null, name text not null, version bigint not null, digest text not null, document text not null,
    created_at bigint not null, primary key (tenant, name, version))`,
  `create table keys (
    id text primary key, hash text not null unique, name text not null, tenant text not null, scopes text not null,
    created_at bigint not null, revoked_at bigint, last_used_at bigint)`,
  `create table idempotency (
    tenant text not null, key text not null, digest text not null, sandbox_id text not null references sandboxes (id),
    created_at bigint not null, primary key (tenant, key))`,
  `create index idempotency_by_sandbox on idempotency (sandbox_id)`,
  `create index idempotency_by_age on idempotency (created_at)`,
  `create table instances (
    id text primary key, boot_id text not null, pid_namespace text not null, pid bigint not null,
    start_ticks bigint not null, seen_at bigint not null)`,
  `create table usage (
    sandbox_id text not null references sandboxes (id), generation bigint not null, tenant text not null, backend text not null,
    opened_at bigint not null, closed_at bigint, cpu_milli bigint not null, mem_mib bigint not null, disk_mib bigint not null,
    creates bigint not null, vcpu_seconds bigint, mem_mib_seconds bigint, disk_mib_seconds bigint,
    primary key (sandbox_id, generation))`,
  `create table latency (
    backend text not null, verb text not null, le_ms bigint not null, count bigint not null, primary key (backend, verb, le_ms))`,
  `create table events (
    seq integer primary key autoincrement, type text not null, at bigint not null, tenant text not null, sandbox_id text,
    data text not null)`,
  `create index events_by_sandbox on events (sandbox_id, seq)`,
  `create index events_by_tenant on events (tenant, seq)`,
];

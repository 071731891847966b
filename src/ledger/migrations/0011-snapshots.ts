/**
 * What was kept of sandboxes. A row stands here before anything is copied, and until it is confirmed that nothing of it is left. `snapshot`:
 * which one a sandbox came from; of ended ones it stays, since others may come from them in turn.
 */
export const snapshots = [
  `create table snapshots (
    id text primary key, tenant text not null, project text, name text, kind text not null, state text not null, backend text not null,
    host text, owner text, sandbox_id text, profile text, parent text, image text, size_bytes bigint, entries bigint, digest text,
    created_at bigint not null, expires_at bigint, key_id text)`,
  `create index snapshots_by_tenant on snapshots (tenant, id)`,
  `create index snapshots_expiring on snapshots (expires_at) where expires_at is not null`,
  `alter table sandboxes add column snapshot text`,
];

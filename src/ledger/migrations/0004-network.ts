/**
 * What sandboxes with egress may reach, and what the boundary decided. The policy is stored before the boundary is told, with
 * the revision that it has confirmed beside it, so that a later process can finish what an earlier one began.
 */
export const network = [
  `create table sandbox_network (
    sandbox_id text primary key references sandboxes (id), tenant text not null, generation bigint not null,
    policy text not null, ceiling text not null, revision bigint not null, applied bigint not null,
    attached bigint not null, problem text, bytes_up bigint not null, bytes_down bigint not null,
    told_since bigint not null, told bigint not null, untold bigint not null, updated_at bigint not null, released_at bigint)`,
  `create index sandbox_network_held on sandbox_network (sandbox_id) where released_at is null`,
  `create table network_log (
    sandbox_id text not null references sandboxes (id), seq bigint not null, at bigint not null, verdict text not null,
    entry text not null, primary key (sandbox_id, seq))`,
  `create index network_log_refused on network_log (sandbox_id, seq) where verdict <> 'allow'`,
  `create index network_log_by_age on network_log (at)`,
  `alter table usage add column egress_bytes_up bigint not null default 0`,
  `alter table usage add column egress_bytes_down bigint not null default 0`,
];

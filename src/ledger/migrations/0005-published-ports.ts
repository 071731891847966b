/** Ports that were published or taken back while a sandbox lived, and the one-time addresses that were used. */
export const publishedPorts = [
  `create table published_ports (
    sandbox_id text not null references sandboxes (id), port bigint not null, visibility text, generation bigint not null,
    serial bigint not null, expires_at bigint, primary key (sandbox_id, port))`,
  `create table port_grants (id text primary key, expires_at bigint not null)`,
  `create index port_grants_by_end on port_grants (expires_at)`,
];

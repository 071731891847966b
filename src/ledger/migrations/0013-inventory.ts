/** Hosts that were added while servers run: each is a backend of its name. What a sandbox there takes stands in its row. */
export const inventory = [
  `create table inventory (
    name text primary key, provider text not null, options text not null, cpu double precision, memory_bytes bigint, sandboxes bigint,
    draining integer not null default 0, added_at bigint not null)`,
  `create index sandboxes_by_backend on sandboxes (backend) where ended_at is null`,
];

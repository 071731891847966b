/** What a verb takes at a backend, by stretches of time that are removed when they are old, in place of one sum over all time. */
export const measurements = [
  `drop table latency`,
  `create table measurements (
    backend text not null, verb text not null, slice_at bigint not null, le_us bigint not null, count bigint not null,
    primary key (backend, verb, slice_at, le_us))`,
  `create index measurements_by_age on measurements (slice_at)`,
];

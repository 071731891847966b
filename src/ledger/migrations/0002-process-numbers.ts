/** Processes get a number in their sandbox. Those from before are counted by their ids, which sort by time. */
export const processNumbers = [
  `alter table processes add column number bigint not null default 0`,
  `update processes set number =
    (select count(*) from processes earlier where earlier.sandbox_id = processes.sandbox_id and earlier.id <= processes.id)`,
  `create unique index processes_by_number on processes (sandbox_id, number)`,
];

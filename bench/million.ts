import { closeSync, fsyncSync, openSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";

/**
 * Fills an empty ledger with finished sandboxes, each with a label, an exec and its usage, and with five events a sandbox; the
 * newest `live` of them live. Ids sort by age as real ones do. Some thousand rows a millisecond.
 */
export function fillLedger(path: string, { sandboxes, live, tenants }: { sandboxes: number; live: number; tenants: number }): void {
  const database = new DatabaseSync(path);
  const now = Date.now();
  const numbers = `with recursive n(i) as (select 0 union all select i + 1 from n where i + 1 < ${sandboxes})`;
  const id = "'sb01' || printf('%020d', i)";
  const tenant = `'t' || (i % ${tenants})`;
  const at = `${now} - (${sandboxes} - i) * 1000`;
  const ended = `case when i >= ${sandboxes - live} then null else ${at} + 500 end`;
  const state = `case when i >= ${sandboxes - live} then 'ready' when i % 10 = 0 then 'failed' else 'terminated' end`;
  try {
    database.exec("pragma synchronous = off; pragma cache_size = -200000; pragma foreign_keys = off; begin");
    database.exec(`${numbers} insert into sandboxes (id, tenant, profile_name, profile_version, profile_digest, backend, ref, state, desired, generation,
      isolation_min, isolation_notes, resources, narrowed, route, metadata, created_at, ready_at, last_active_at, expires_at, max_life_at, ended_at, termination_reason, state_lost)
      select ${id}, ${tenant}, 'python', 1, 'd', 'fake', '{"backend":"fake","native":"' || i || '","id":"' || ${id} || '","generation":1}', ${state}, 'terminated', 1, 'container', '[]',
      '{"cpu":1,"memory_bytes":536870912,"disk_bytes":1073741824,"inodes":10000,"pids":256,"max_output_bytes":1048576,"gpu":null}', '[]', '{"chosen":"fake","reason":"fake: first","candidates":[]}', '{"team":"x"}',
      ${at}, ${at}, ${at}, ${now} + 36000000, ${now} + 86400000, ${ended}, 'user', 0 from n`);
    database.exec(`${numbers} insert into sandbox_metadata select ${tenant}, 'team', 'x' || (i % 1000), ${id} from n`);
    database.exec(`${numbers} insert into execs select 'ex' || i, ${id}, ${tenant}, 'in', ${at}, ${at} + 100, 'exited', 0 from n`);
    database.exec(`${numbers} insert into usage (sandbox_id, generation, tenant, backend, opened_at, closed_at, cpu_milli, mem_mib, disk_mib, creates, vcpu_seconds, mem_mib_seconds, disk_mib_seconds)
      select ${id}, 1, ${tenant}, 'fake', ${at}, ${ended}, 1000, 512, 1024, 1, 1, 256, 512 from n`);
    for (const type of ["sandbox.provisioning", "sandbox.ready", "exec.started", "exec.finished", "sandbox.terminated"])
      database.exec(`${numbers} insert into events (type, at, tenant, sandbox_id, data) select '${type}', ${at}, ${tenant}, ${id}, '{"from":"a","to":"b"}' from n`);
    database.exec("commit; pragma wal_checkpoint(truncate); analyze");
  } finally {
    database.close();
  }
  // What was written without a sync is on the disk before anything is measured.
  const file = openSync(path, "r");
  fsyncSync(file);
  closeSync(file);
} // prettier-ignore

import { mkdtempSync, rmSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Config, LOCAL_OPERATOR } from "../../src/contract/index.ts";
import type { Engine } from "../../src/engine/engine.ts";
import { openSandboxer } from "../../src/main.ts";
import { figure, timed } from "../figures.ts";
import type { Row } from "../row.ts";
import type { Stage } from "../stage.ts";

const WANTED_A_MINUTE = 2000;
const USAGE_MS = 15;
const WORKERS = 8;
const config: Config = {
  backends: [{ name: "memory", provider: "fake", options: { isolation: "container" }, price: { vcpu_hour: 1, gb_hour: 0.1 } }],
  log_level: "silent",
};

async function within<T>(work: (engine: Engine, directory: string) => Promise<T>): Promise<T> {
  const directory = mkdtempSync(join(tmpdir(), "sbx-bench-money-"));
  const opened = await openSandboxer({ dataDir: directory, config });
  try {
    return await work(opened.engine, directory);
  } finally {
    await opened.close();
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Milliseconds of each create, several at a time, each sandbox ended at once; and how many a minute that were. */
async function creates(engine: Engine, count: number, signal: AbortSignal): Promise<{ samples: number[]; aMinute: number }> {
  const samples: number[] = [];
  let left = count;
  const { ms } = await timed(async () => {
    await Promise.all(
      Array.from({ length: WORKERS }, async () => {
        while (left-- > 0 && !signal.aborted) {
          const made = await timed(() => engine.create(LOCAL_OPERATOR, { metadata: { agent: "a" } }, {}));
          samples.push(made.ms);
          await engine.destroy(LOCAL_OPERATOR, made.value.sandbox.id);
        }
      }),
    );
  });
  return { samples, aMinute: (samples.length / ms) * 60_000 };
}

async function setBudgets(engine: Engine): Promise<void> {
  const limit_micro_usd = 1_000_000_000_000;
  await engine.budgets.set(LOCAL_OPERATOR, "tenant", { limit_micro_usd, period: "month" });
  await engine.budgets.set(LOCAL_OPERATOR, "agent", { limit_micro_usd, scope: "agent", subject: "a", period: "day" });
  await engine.budgets.set(LOCAL_OPERATOR, "profile", { limit_micro_usd, scope: "profile", subject: "default" });
}

/** Finished stays of a year over 20 tenants, 10 profiles and 5 keys, with the sums that settling them would have kept. */
function fill(directory: string, count: number): void {
  const database = new DatabaseSync(join(directory, "ledger.db"));
  const n = `with recursive n (i) as (select 1 union all select i + 1 from n where i < ${count})`;
  const [id, tenant, day] = [
    "printf('sb%022d', i)",
    "case when i % 20 = 0 then 'default' else 't' || (i % 20) end",
    "1764000000000 - (i % 365) * 86400000",
  ];
  database.exec(`begin;
    ${n} insert into sandboxes (id, tenant, profile_name, profile_version, profile_digest, backend, state, desired, generation, isolation_min, isolation_effective,
      isolation_notes, resources, narrowed, route, metadata, created_at, ready_at, last_active_at, expires_at, max_life_at, ended_at, termination_reason, state_lost)
      select ${id}, ${tenant}, 'p' || (i % 10), 1, 'd', 'memory', 'terminated', 'terminated', 1, 'container', 'container', '[]', '{"cpu":1,"memory_bytes":1,"disk_bytes":1,"inodes":1,"pids":1}',
      '[]', '{"chosen":null,"reason":"","candidates":[]}', '{}', ${day}, ${day}, ${day}, ${day}, ${day}, ${day} + 60000, 'user', 0 from n;
    ${n} insert into usage (sandbox_id, generation, tenant, backend, opened_at, closed_at, cpu_milli, mem_mib, disk_mib, creates, vcpu_seconds, mem_mib_seconds, disk_mib_seconds)
      select ${id}, 1, ${tenant}, 'memory', ${day}, ${day} + 60000, 1000, 512, 1024, 1, 60, 30720, 61440 from n;
    ${n} insert into stays (sandbox_id, generation, tenant, backend, profile, key_id, agent, account, price, rate, largest, reserved, opened_at, seq, settled_at, cost, "precision", confirmed)
      select ${id}, 1, ${tenant}, 'memory', 'p' || (i % 10), 'k' || (i % 5), null, 'default', '{}', 0, 0, 0, ${day}, i, ${day} + 60000, 0, 'exact', 1 from n;
    insert into usage_days select strftime('%Y-%m-%d', s.settled_at / 1000, 'unixepoch'), s.tenant, s.profile, s.backend, s.key_id, count(*), count(*), sum(u.vcpu_seconds),
      sum(u.mem_mib_seconds), sum(u.disk_mib_seconds), 0, 0, 0, 0, 0 from stays s join usage u on u.sandbox_id = s.sandbox_id and u.generation = s.generation group by 1, 2, 3, 4, 5;
    commit; analyze`);
  database.close();
}

/** Creates with three budgets on, beside none; and what a report of usage takes over a million finished sandboxes. */
export async function money({ scale, signal, say }: Stage): Promise<Row[]> {
  const quick = scale.commands < 10;
  const count = quick ? 500 : 2000;
  const plain = await within((engine) => creates(engine, count, signal));
  const budgeted = await within(async (engine) => {
    await setBudgets(engine);
    const measured = await creates(engine, count, signal);
    const { balanced, findings } = await engine.money.audit(LOCAL_OPERATOR);
    if (!balanced) throw new Error(`the books do not balance: ${JSON.stringify(findings)}`);
    return measured;
  });
  const finished = quick ? 100_000 : 1_000_000;
  const reports = await within(async (engine, directory) => {
    say(`filling in ${finished} finished sandboxes`);
    fill(directory, finished);
    const took: number[] = [];
    for (let round = 0; round < 300 && !signal.aborted; round++) {
      const by = (["day", "profile", "backend", "key"] as const).slice(round % 4, (round % 4) + 1);
      took.push((await timed(() => engine.money.usage(LOCAL_OPERATOR, { from: "2025-10-27", to: "2025-11-25", by }))).ms);
    }
    return took.sort((a, b) => a - b);
  });
  const p99 = reports[Math.floor(reports.length * 0.99)] ?? 0;
  const [with3, without] = [figure(budgeted.samples), figure(plain.samples)];
  return [
    {
      case: "money", what: `create with three budgets, backend in memory, ${WORKERS} at a time`, unit: "ms", ours: with3, peer: { name: "no budgets", figure: without },
      target: { value: Math.round(budgeted.aMinute), direction: "at_least", bound: WANTED_A_MINUTE, of: "creates and ends a minute" },
      note: "the books are audited after it",
    },
    {
      case: "money", what: `usage of 30 days, ${finished.toLocaleString("en")} finished sandboxes`, unit: "ms", ours: figure(reports),
      target: { value: p99, direction: "at_most", bound: USAGE_MS, of: "ms at p99" },
    },
  ]; // prettier-ignore
}

import { sql } from "kysely";
import type { Db } from "../ledger.ts";

/** A check of the books: what it asserts, and a query that answers with what breaks it. */
interface Check {
  readonly name: string;
  readonly broken: ReturnType<typeof sql<{ what: string }>>;
}

const CHECKS: readonly Check[] = [
  {
    name: "every entry has at least two postings and adds up to 0",
    broken: sql`select e.id as what from money_entries e left join money_postings p on p.entry_id = e.id
      group by e.id having count(p.line) < 2 or sum(p.amount) <> 0`,
  },
  {
    name: "every posting belongs to an entry",
    broken: sql`select p.entry_id as what from money_postings p left join money_entries e on e.id = p.entry_id where e.id is null`,
  },
  {
    name: "every balance is the sum of its postings",
    broken: sql`select s.account as what from (select account, sum(amount) as total from money_postings group by account) s
      left join money_balances b on b.account = s.account where b.balance is null or b.balance <> s.total
      union all select b.account from money_balances b
      where b.balance <> 0 and not exists (select 1 from money_postings p where p.account = b.account)`,
  },
  {
    name: "every closed usage is settled, and every open one is not",
    broken: sql`select s.sandbox_id as what from stays s join usage u on u.sandbox_id = s.sandbox_id and u.generation = s.generation
      where (u.closed_at is null) <> (s.settled_at is null)`,
  },
  {
    name: "every usage since the books began has a stay",
    broken: sql`select u.sandbox_id as what from usage u left join stays s on s.sandbox_id = u.sandbox_id and s.generation = u.generation
      where s.sandbox_id is null and u.opened_at > (select min(opened_at) from stays)`,
  },
  {
    name: "nothing is reserved for a sandbox that has ended",
    broken: sql`select s.sandbox_id as what from stays s join sandboxes x on x.id = s.sandbox_id
      where s.settled_at is null and (x.ended_at is not null or x.generation <> s.generation)`,
  },
  {
    name: "every reservation and every cost stands in the journal once, with its amount",
    broken: sql`select s.sandbox_id as what from stays s
      left join money_postings r on r.entry_id = 'reserve:' || s.sandbox_id || ':' || s.generation and r.account = 'held/' || s.account
      left join money_postings c on c.entry_id = 'settle:' || s.sandbox_id || ':' || s.generation and c.account = 'cost/' || s.account
      left join money_postings h on h.entry_id = 'settle:' || s.sandbox_id || ':' || s.generation and h.account = 'held/' || s.account
      where coalesce(r.amount, 0) <> s.reserved or coalesce(c.amount, 0) <> coalesce(s.cost, 0)
      or coalesce(h.amount, 0) <> case when s.settled_at is null then 0 else -s.reserved end`,
  },
  {
    name: "every account has reserved and spent what its stays have, and holds what the journal says",
    broken: sql`select a.name as what from accounts a
      left join (select account, sum(case when settled_at is null then reserved else 0 end) as reserved, sum(coalesce(cost, 0)) as spent
        from stays group by account) s on s.account = a.name
      left join money_balances f on f.account = 'funds/' || a.name
      left join money_balances h on h.account = 'held/' || a.name
      left join money_balances c on c.account = 'cost/' || a.name
      where a.reserved <> coalesce(s.reserved, 0) or a.spent <> coalesce(s.spent, 0) or a.reserved <> coalesce(h.balance, 0)
      or a.spent <> coalesce(c.balance, 0) or coalesce(f.balance, 0) <> a.funded - a.reserved - a.spent`,
  },
  {
    name: "every budget has reserved and spent what is held in it",
    broken: sql`select p.tenant || '/' || p.budget || ' ' || p.period as what from budget_periods p
      left join (select tenant, budget, period, sum(case when cost is null then amount else 0 end) as reserved, sum(coalesce(cost, 0)) as spent
        from budget_holds group by tenant, budget, period) h on h.tenant = p.tenant and h.budget = p.budget and h.period = p.period
      where p.reserved <> coalesce(h.reserved, 0) or p.spent <> coalesce(h.spent, 0)`,
  },
  {
    name: "no budget holds anything for a stay that is settled",
    broken: sql`select h.sandbox_id as what from budget_holds h join stays s on s.sandbox_id = h.sandbox_id and s.generation = h.generation
      where (h.cost is null) <> (s.settled_at is null)`,
  },
  {
    name: "the days add up to the settled stays",
    broken: sql`select 'usage_days: ' || d.stays || ' stays costing ' || d.cost || ', settled ' || s.stays || ' costing ' || s.cost as what
      from (select coalesce(sum(stays), 0) as stays, coalesce(sum(cost), 0) as cost from usage_days) d,
      (select count(*) as stays, coalesce(sum(cost), 0) as cost from stays where settled_at is not null) s
      where d.stays <> s.stays or d.cost <> s.cost`,
  },
];

export interface AuditFinding {
  readonly check: string;
  /** What breaks it: an entry, an account, a sandbox. */
  readonly what: string;
}

export interface BooksAudit {
  readonly checks: readonly string[];
  readonly findings: readonly AuditFinding[];
  readonly entries: number;
  readonly settled: number;
  readonly open: number;
  /** Usage rows of before there were books. */
  readonly before: number;
}

/** How many things are named of each check that fails. */
const NAMED = 20;

/** Reads all the books and compares every sum with what it is a sum of. Run it in a transaction: it must see one moment. */
export async function auditBooks(tx: Db): Promise<BooksAudit> {
  const findings: AuditFinding[] = [];
  for (const { name, broken } of CHECKS) {
    const { rows } = await broken.execute(tx);
    findings.push(...rows.slice(0, NAMED).map(({ what }) => ({ check: name, what })));
    if (rows.length > NAMED) findings.push({ check: name, what: `and ${rows.length - NAMED} more` });
  }
  const { rows } = await sql<Record<"entries" | "settled" | "open" | "usages", number | string>>`
    select (select count(*) from money_entries) as entries, (select count(*) from stays where settled_at is not null) as settled,
    (select count(*) from stays where settled_at is null) as open, (select count(*) from usage) as usages`.execute(tx);
  const counts = rows[0] ?? { entries: 0, settled: 0, open: 0, usages: 0 };
  const [entries, settled, open] = [Number(counts.entries), Number(counts.settled), Number(counts.open)];
  return { checks: CHECKS.map(({ name }) => name), findings, entries, settled, open, before: Number(counts.usages) - settled - open };
}

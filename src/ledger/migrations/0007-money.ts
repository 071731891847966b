/**
 * The books. Amounts are whole micro-dollars. `money_entries` and `money_postings` are only ever appended to; `money_balances`,
 * `accounts`, `budget_periods` and `usage_days` are sums over what stands elsewhere, kept in the same transaction, and an audit compares them.
 */
export const money = [
  `create table money_sequence (name text primary key, value bigint not null)`,
  `insert into money_sequence (name, value) values ('settlement', 0)`,
  `create table money_entries (
    id text primary key, at bigint not null, kind text not null, account text not null, tenant text, sandbox_id text,
    generation bigint, note text)`,
  `create index money_entries_by_account on money_entries (account, at)`,
  `create table money_postings (
    entry_id text not null references money_entries (id), line bigint not null, account text not null, amount bigint not null,
    primary key (entry_id, line))`,
  `create table money_balances (account text primary key, balance bigint not null)`,
  `create table accounts (
    name text primary key, kind text not null, tenant text, backends text, limit_micro_usd bigint, funded bigint not null,
    reserved bigint not null, spent bigint not null, created_at bigint not null, removed_at bigint)`,
  `insert into accounts (name, kind, funded, reserved, spent, created_at) values ('default', 'self_hosted', 0, 0, 0, 0)`,
  `create table payment_routes (
    tenant text not null, backend text not null, accounts text not null, updated_at bigint not null, primary key (tenant, backend))`,
  `create table payment_consents (tenant text primary key, fallback bigint not null, updated_at bigint not null)`,
  `create table stays (
    sandbox_id text not null references sandboxes (id), generation bigint not null, tenant text not null, backend text not null,
    profile text not null, key_id text not null, agent text, account text not null, price text, rate bigint, largest bigint,
    reserved bigint not null, unknown_because text, opened_at bigint not null, seq bigint, settled_at bigint, cost bigint,
    "precision" text, confirmed bigint, meter text, metered text, metered_at bigint, flagged bigint not null default 0,
    primary key (sandbox_id, generation))`,
  `create unique index stays_by_settlement on stays (seq)`,
  `create index stays_by_tenant on stays (tenant, seq)`,
  `create index stays_open on stays (tenant) where settled_at is null`,
  `create index stays_to_meter on stays (backend, seq) where meter = 'wanted'`,
  `create index stays_flagged on stays (seq) where flagged = 1`,
  `create table budgets (
    tenant text not null, name text not null, scope text not null, subject text not null, hard bigint not null, period text not null,
    limit_micro_usd bigint not null, warn_percent bigint not null, on_exhausted text, created_at bigint not null,
    updated_at bigint not null, primary key (tenant, name))`,
  `create table budget_periods (
    tenant text not null, budget text not null, period text not null, reserved bigint not null, spent bigint not null,
    warned_at bigint, exhausted_at bigint, primary key (tenant, budget, period))`,
  `create table budget_holds (
    sandbox_id text not null, generation bigint not null, tenant text not null, budget text not null, period text not null,
    amount bigint not null, cost bigint, primary key (sandbox_id, generation, budget))`,
  `create index budget_holds_by_budget on budget_holds (tenant, budget, period)`,
  `create index budget_holds_open on budget_holds (tenant, budget, period) where cost is null`,
  `create table usage_days (
    day text not null, tenant text not null, profile text not null, backend text not null, key_id text not null,
    stays bigint not null, creates bigint not null, vcpu_seconds bigint not null, mem_mib_seconds bigint not null,
    disk_mib_seconds bigint not null, egress_bytes bigint not null, cost bigint not null, unpriced bigint not null,
    upper_bounds bigint not null, unconfirmed bigint not null, primary key (day, tenant, profile, backend, key_id))`,
  `create index usage_days_by_tenant on usage_days (tenant, day)`,
];

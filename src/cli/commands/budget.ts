import { formatUsd } from "../../contract/format.ts";
import { nearest } from "../../contract/nearest.ts";
import type { Budget, BudgetRequest } from "../../sdk/index.ts";
import { dollars } from "../amount.ts";
import type { Arguments, Command } from "../command.ts";
import { connect } from "../connect.ts";
import { usageError } from "../failure.ts";
import { expect } from "../parse.ts";
import { fields, json, line, table } from "../print.ts";

const VERBS = ["set", "ls", "show", "rm"] as const;
const PERIODS = ["total", "month", "day"] as const;
const SUBJECTS = ["key", "agent", "profile"] as const;

export const command: Command = {
  usage: "budget set NAME --limit DOLLARS [OPTIONS] | budget ls | budget show NAME | budget rm NAME",
  about: `Budgets: what a tenant's sandboxes may cost, or those of one key, agent or profile. A create reserves the most that it can
cost; what a hard budget has no room for is refused. A sandbox counts in the period in which it began.`,
  options: {
    limit: { type: "string", value: "DOLLARS", about: "set: in each period, as 25 or 0.05" },
    period: { type: "string", value: "PERIOD", about: `set: ${PERIODS.join(", ")}; total unless given; months and days are UTC's` },
    tenant: { type: "string", value: "TENANT", about: "Whose sandboxes; your own tenant unless given" },
    key: { type: "string", value: "KEY_ID", about: "set: count only what that key made" },
    agent: { type: "string", value: "NAME", about: "set: count only sandboxes with the label agent=NAME" },
    profile: { type: "string", value: "NAME", about: "set: count only sandboxes of that profile", complete: "profile" },
    soft: { type: "boolean", about: "set: warn, and refuse nothing" },
    warn: { type: "string", value: "PERCENT", about: "set: warn from there on, reserved and spent; 80 unless given" },
    "on-exhausted": { type: "string", value: "WHAT", about: "set: terminate ends what runs when the limit is spent; nothing unless given" },
    "all-tenants": { type: "boolean", about: "ls: every tenant's (scope admin)" },
  },
  positionals: [VERBS],
  examples: [
    ["budget set monthly --limit 50 --period month --on-exhausted terminate", "50 dollars a month, and not more"],
    ["budget set ci --limit 2.50 --period day --key KEY_ID", "one key's, a day"],
    ["budget show monthly", "how it stands"],
  ],
  async run(args) {
    const [verb = "ls"] = args.positionals;
    if (!VERBS.some((known) => known === verb))
      throw usageError("budget", `unknown verb "${verb}"; did you mean "${nearest(verb, VERBS) ?? "ls"}"?`);
    if (verb === "ls") return list(args);
    const [, name = ""] = expect("budget", args, "VERB", "NAME");
    const tenant = args.text("tenant");
    const request = verb === "set" ? requestFrom(args) : undefined;
    await using connection = await connect();
    const { budgets } = connection.client.money;
    const budget =
      request === undefined
        ? await (verb === "rm" ? budgets.remove(name, tenant) : budgets.get(name, tenant))
        : await budgets.set(name, request);
    if (args.json) await json(budget);
    else if (verb === "rm") await line(budget.name);
    else await show(budget);
    return 0;
  },
};

function requestFrom(args: Arguments): BudgetRequest {
  const limit = args.text("limit");
  if (limit === undefined) throw usageError("budget", "set needs --limit DOLLARS");
  const named = SUBJECTS.filter((scope) => args.text(scope) !== undefined);
  if (named.length > 1) throw usageError("budget", `give one of --${named.join(" and --")}, not both`);
  const [scope] = named;
  const period = args.text("period") ?? "total";
  const known = PERIODS.find((one) => one === period);
  if (known === undefined) throw usageError("budget", `unknown period "${period}"; nearest: "${nearest(period, PERIODS) ?? "month"}"`);
  const exhausted = args.text("on-exhausted");
  if (exhausted !== undefined && exhausted !== "terminate" && exhausted !== "pause")
    throw usageError("budget", `--on-exhausted is terminate, not "${exhausted}"`);
  const warn = args.text("warn");
  if (warn !== undefined && !/^\d{1,3}$/.test(warn)) throw usageError("budget", `--warn is a percentage, not "${warn}"`);
  const tenant = args.text("tenant");
  return {
    limit_micro_usd: dollars("budget", "--limit", limit),
    period: known,
    ...(tenant === undefined ? {} : { tenant }),
    ...(scope === undefined ? {} : { scope, subject: args.text(scope) ?? "" }),
    ...(args.flag("soft") ? { hard: false } : {}),
    ...(warn === undefined ? {} : { warn_percent: Number(warn) }),
    ...(exhausted === undefined ? {} : { on_exhausted: exhausted }),
  };
}

const whose = ({ scope, subject, tenant }: Budget): string => (scope === "tenant" ? `tenant ${tenant}` : `${scope} ${subject ?? ""}`);

async function list(args: Arguments): Promise<number> {
  expect("budget", args, "VERB?");
  const tenant = args.text("tenant");
  await using connection = await connect();
  const found = await connection.client.money.budgets.list({
    ...(tenant === undefined ? {} : { tenant }),
    ...(args.flag("all-tenants") ? { allTenants: true } : {}),
  });
  if (args.json) await json(found);
  else
    await table(
      ["NAME", "TENANT", "COUNTS", "PERIOD", "LIMIT", "SPENT", "RESERVED", "LEFT", "KIND"],
      found.map((budget) => [
        budget.name,
        budget.tenant,
        whose(budget),
        budget.current.period,
        ...[budget.limit_micro_usd, budget.current.spent_micro_usd, budget.current.reserved_micro_usd, budget.current.left_micro_usd].map(
          formatUsd,
        ),
        budget.hard ? "hard" : "soft",
      ]),
    );
  return 0;
}

async function show(budget: Budget): Promise<void> {
  const { current, limit_micro_usd: limit } = budget;
  await fields([
    ["name", budget.name],
    ["counts", `${whose(budget)}${budget.scope === "tenant" ? "" : ` of tenant ${budget.tenant}`}`],
    ["period", budget.period === "total" ? "total" : `${budget.period}, now ${current.period}`],
    ["limit", `${formatUsd(limit)}, ${budget.hard ? "hard: creates beyond it are refused" : "soft: nothing is refused"}`],
    ["spent", formatUsd(current.spent_micro_usd)],
    ["reserved", formatUsd(current.reserved_micro_usd)],
    ["left", formatUsd(current.left_micro_usd)],
    ["warns", `from ${budget.warn_percent} % on`],
    ["when spent", budget.on_exhausted === null ? "what runs goes on" : "what runs is ended"],
  ]);
}

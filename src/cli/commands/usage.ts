import { writeFileSync } from "node:fs";
import { formatUsd } from "../../contract/format.ts";
import { nearest } from "../../contract/nearest.ts";
import type { UsageBy, UsageOptions, UsageReport } from "../../sdk/index.ts";
import type { Arguments, Command } from "../command.ts";
import { connect } from "../connect.ts";
import { usageError } from "../failure.ts";
import { count, expect } from "../parse.ts";
import { json, line, note, table, write } from "../print.ts";
import { usagePlot } from "../usage-plot.ts";

const BY: readonly UsageBy[] = ["day", "tenant", "profile", "backend", "key"];
const FORMATS = ["cloudevents", "focus"] as const;

export const command: Command = {
  usage: "usage [OPTIONS] | usage export cloudevents|focus|stripe [--after CURSOR]",
  about: `What was used and what it cost, by day unless --by says otherwise. A sandbox counts on the day (UTC) on which it ended; what
still runs is told beneath. export writes settled usage to standard output, and where to go on to standard error: CloudEvents as
OpenMeter takes them, or FOCUS 1.3 CSV. export stripe gives Stripe a meter event for all that it has not had.`,
  options: {
    from: { type: "string", value: "DAY", about: "First day, as 2026-11-01; 29 days before today unless given" },
    to: { type: "string", value: "DAY", about: "Last day; today unless given" },
    by: { type: "string", multiple: true, value: "WHAT", about: `${BY.join(", ")}; may be repeated, or separated by commas` },
    tenant: { type: "string", value: "TENANT", about: "Another tenant's (scope admin)" },
    "all-tenants": { type: "boolean", about: "Every tenant's (scope admin)" },
    svg: { type: "string", value: "FILE", about: "Write a plot of the cost by day as well; its colours are what else --by names" },
    after: { type: "string", value: "CURSOR", about: "export: only what was settled after it; all unless given" },
    limit: { type: "string", short: "n", value: "COUNT", about: "export: at most this many; 1000 unless given" },
  },
  positionals: [["export"], [...FORMATS, "stripe"]],
  examples: [
    ["usage --by profile,backend", "what costs most"],
    ["usage --by day --by backend --svg usage.svg", "a picture of it"],
    ["usage export focus > focus.csv", "for a FinOps tool"],
  ],
  async run(args) {
    if (args.positionals[0] === "export") return exportUsage(args);
    expect("usage", args);
    const svg = args.text("svg");
    const by = dimensions(args);
    const days = { ...given(args, "from"), ...given(args, "to"), ...whose(args) };
    await using connection = await connect();
    const report = await connection.client.money.usage({ ...days, by });
    if (svg !== undefined) {
      const daily = by.includes("day") ? report : await connection.client.money.usage({ ...days, by: ["day", ...by] });
      writeFileSync(svg, usagePlot(daily));
      note(`the plot is in ${svg}`);
    }
    await (args.json ? json(report) : print(report));
    return 0;
  },
};

function dimensions(args: Arguments): UsageBy[] {
  const named = args.all("by").flatMap((text) => text.split(","));
  return named.length === 0
    ? ["day"]
    : [
        ...new Set(
          named.map((text) => {
            const known = BY.find((one) => one === text);
            if (known === undefined) throw usageError("usage", `unknown --by "${text}"; nearest: "${nearest(text, BY) ?? "day"}"`);
            return known;
          }),
        ),
      ];
}

function given(args: Arguments, name: "from" | "to" | "tenant"): UsageOptions {
  const text = args.text(name);
  return text === undefined ? {} : { [name]: text };
}

function whose(args: Arguments): UsageOptions {
  return { ...given(args, "tenant"), ...(args.flag("all-tenants") ? { allTenants: true } : {}) };
}

const hours = (seconds: number): string => (seconds / 3600).toFixed(2);

async function print({ by, data, total, running, from, to }: UsageReport): Promise<void> {
  const figures = (sums: UsageReport["total"]) => [
    String(sums.stays),
    hours(sums.vcpu_seconds),
    hours(sums.mem_mib_seconds / 1024),
    formatUsd(sums.cost_micro_usd),
    remarks(sums),
  ];
  const rows = data.map((row) => [...by.map((dimension) => row[dimension] || (dimension === "key" ? "none" : "-")), ...figures(row)]);
  const sum = by.length === 0 ? [] : [["total", ...by.slice(1).map(() => ""), ...figures(total)]];
  await table(
    [...by.map((dimension) => dimension.toUpperCase()), "STAYS", "VCPU HOURS", "GIB HOURS", "COST", "REMARKS"],
    [...rows, ...sum],
  );
  const held =
    running.stays === 0 ? "Nothing runs." : `${running.stays} still run, with ${formatUsd(running.reserved_micro_usd)} reserved.`;
  await line(`\n${from} to ${to}, UTC. ${held}`);
}

function remarks({ unpriced, upper_bounds, unconfirmed }: UsageReport["total"]): string {
  return [
    unpriced > 0 ? `${unpriced} without a price` : "",
    upper_bounds > 0 ? `${upper_bounds} at most` : "",
    unconfirmed > 0 ? `${unconfirmed} unconfirmed` : "",
  ]
    .filter((text) => text !== "")
    .join(", ");
}

async function exportUsage(args: Arguments): Promise<number> {
  const [, format = ""] = expect("usage", args, "export", "FORMAT");
  const known = FORMATS.find((one) => one === format);
  if (known === undefined && format !== "stripe")
    throw usageError("usage", `unknown format "${format}"; nearest: "${nearest(format, [...FORMATS, "stripe"]) ?? "focus"}"`);
  const [after, limit] = [args.text("after"), args.text("limit")];
  const from = after === undefined ? {} : { after: count("usage", "after", after) };
  const most = limit === undefined ? {} : { limit: count("usage", "limit", limit) };
  await using connection = await connect();
  if (known === undefined) {
    const report = await connection.client.money.toStripe();
    await (args.json ? json(report) : line(`${report.sent} sent, ${report.skipped} skipped; all up to ${report.cursor} is done`));
    return 0;
  }
  const { tenant, allTenants } = whose(args);
  const page = await connection.client.money.export(known, {
    ...from,
    ...most,
    ...(tenant === undefined ? {} : { tenant }),
    ...(allTenants === undefined ? {} : { allTenants }),
  });
  await write(process.stdout, known === "cloudevents" ? `${page.text}\n` : page.text);
  note(`${page.count} stays; go on with --after ${page.cursor}`);
  return 0;
}

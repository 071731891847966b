import { nearest } from "../../contract/nearest.ts";
import type { QuotaInfo } from "../../sdk/index.ts";
import type { Arguments, Command } from "../command.ts";
import { connect } from "../connect.ts";
import { usageError } from "../failure.ts";
import { expect } from "../parse.ts";
import { json, line, table } from "../print.ts";

const VERBS = ["set", "ls", "rm"] as const;

export const command: Command = {
  usage: "quota set SUBJECT | quota ls | quota rm SUBJECT",
  about: `Limits how many sandboxes a tenant, a project or a key has at once, and how many it begins in any 60 seconds. SUBJECT is
tenant:NAME, project:TENANT/NAME or key:ID. Every quota that a create counts against must have room; what is over one is refused
with quota_exceeded, and how long to wait where time alone makes room. set replaces both limits.`,
  options: {
    concurrent: { type: "string", value: "COUNT", about: "set: live sandboxes at once" },
    "per-minute": { type: "string", value: "COUNT", about: "set: sandboxes begun in any 60 seconds" },
  },
  positionals: [VERBS],
  examples: [
    ["quota set tenant:acme --concurrent 20 --per-minute 60", "for all of acme together"],
    ["quota set project:acme/web --concurrent 5", "and of these for one project"],
    ["quota ls", "with what is used"],
  ],
  async run(args) {
    const [verb = "ls"] = args.positionals;
    const known = VERBS.find((one) => one === verb);
    if (known === undefined) throw usageError("quota", `unknown verb "${verb}"; did you mean "${nearest(verb, VERBS) ?? "ls"}"?`);
    const [, subject = ""] = known === "ls" ? expect("quota", args, "VERB?") : expect("quota", args, "VERB", "SUBJECT");
    const [concurrent, perMinute] = [count(args, "concurrent"), count(args, "per-minute")];
    if (known === "set" && concurrent === undefined && perMinute === undefined)
      throw usageError("quota", "give --concurrent, --per-minute, or both");
    await using connection = await connect();
    const { quotas } = connection.client;
    if (known === "rm") {
      await quotas.remove(subject);
      await (args.json ? json({ subject, removed: true }) : line(subject));
      return 0;
    }
    if (known === "ls") {
      const found = await quotas.list();
      await (args.json ? json(found) : shown(found));
      return 0;
    }
    const quota = await quotas.set({
      subject,
      ...(concurrent === undefined ? {} : { concurrent }),
      ...(perMinute === undefined ? {} : { creates_per_minute: perMinute }),
    });
    await (args.json ? json(quota) : shown([quota]));
    return 0;
  },
};

function count(args: Arguments, option: "concurrent" | "per-minute"): number | undefined {
  const text = args.text(option);
  if (text === undefined) return undefined;
  if (!/^\d{1,7}$/.test(text)) throw usageError("quota", `--${option} is a whole number; got "${text}"`);
  return Number(text);
}

async function shown(quotas: readonly QuotaInfo[]): Promise<void> {
  const of = (used: number, limit: number | null) => `${used} of ${limit ?? "any"}`;
  await table(
    ["SUBJECT", "LIVE", "BEGUN IN 60 S", "CHANGED"],
    quotas.map((one) => [
      one.subject,
      of(one.used.concurrent, one.concurrent),
      of(one.used.creates_per_minute, one.creates_per_minute),
      one.updated_at,
    ]),
  );
}

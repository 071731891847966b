import { nearest } from "../../contract/nearest.ts";
import type { PolicyApplied } from "../../sdk/index.ts";
import type { Arguments, Command } from "../command.ts";
import { connect, type Connection } from "../connect.ts";
import { usageError } from "../failure.ts";
import { expect } from "../parse.ts";
import { casesBeside, rulesIn } from "../policy-files.ts";
import { questionIn } from "../policy-question.ts";
import { json, line, note, table } from "../print.ts";

const VERBS = ["check", "test", "apply", "rollback", "show", "history", "explain", "schema"] as const;

export const command: Command = {
  usage:
    "policy check FILE... | policy test FILE... | policy apply FILE... | policy apply --off | policy rollback VERSION | policy show [VERSION] | policy history | policy explain ACTION | policy schema",
  about: `Rules in Cedar over who may do what, at every door. A FILE is a .cedar file or a directory of them; its cases stand beside it,
acme.test.yaml beside acme.cedar. With a policy in force nothing is allowed that no rule permits, and forbid wins. apply holds
for the next request of every server over the ledger; rules with a fault change nothing. test exits with 1 where a case fails.`,
  options: {
    "dry-run": { type: "boolean", about: "apply: only say which live sandboxes the rules would refuse" },
    off: { type: "boolean", about: "apply: no rules; keys do what their scopes let them" },
    expect: { type: "string", value: "VERSION", about: "apply: only where this version is in force" },
    comment: { type: "string", value: "TEXT", about: "apply: why, for the history" },
    file: { type: "string", multiple: true, value: "FILE", about: "explain: these rules instead of those in force; may be repeated" },
    key: { type: "string", value: "KEY_ID", about: "explain: who asks" },
    tenant: { type: "string", value: "TENANT", about: "explain: whose key; default: default" },
    project: { type: "string", value: "PROJECT", about: "explain: the key's project" },
    role: { type: "string", value: "ROLE", about: "explain: the key's role; default: agent" },
    label: { type: "string", multiple: true, value: "LABEL", about: "explain: a label of the key; may be repeated" },
    resource: {
      type: "string",
      multiple: true,
      value: "NAME=VALUE",
      about: "explain: an attribute of the thing, as name=python; may be repeated",
    },
    context: {
      type: "string",
      multiple: true,
      value: "NAME=VALUE",
      about: 'explain: an attribute of the request, as max_life=7200 or egress.hosts=["a.example"]; may be repeated',
    },
  },
  positionals: [VERBS, "path"],
  examples: [
    ["policy test ./policy", "run the cases beside the rules"],
    ["policy apply ./policy --dry-run", "which live sandboxes would they refuse"],
    ["policy apply ./policy --comment 'acme moves to gVisor'", "put them in force"],
    ["policy explain sandbox.create --tenant acme --context isolation=container", "who decides, and what else matches"],
    ["policy rollback 3", "the rules of version 3 again"],
  ],
  async run(args) {
    const [verb = "show", ...rest] = args.positionals;
    const known = VERBS.find((one) => one === verb);
    if (known === undefined) throw usageError("policy", `unknown verb "${verb}"; did you mean "${nearest(verb, VERBS) ?? "show"}"?`);
    await using connection = await connect();
    return await RUN[known](connection, args, rest);
  },
};

const RUN: Readonly<Record<(typeof VERBS)[number], (connection: Connection, args: Arguments, rest: readonly string[]) => Promise<number>>> =
  {
    check: (connection, args, rest) => check(connection, args, some(rest)),
    test: (connection, args, rest) => test(connection, args, some(rest)),
    apply,
    async rollback({ client }, args) {
      const [, version = ""] = expect("policy", args, "VERB", "VERSION");
      return told(await client.policy.rollback(versionIn(version)), args.json);
    },
    show,
    history,
    explain,
    async schema({ client }, args) {
      expect("policy", args, "VERB");
      const cedar = await client.policy.schema();
      await (args.json ? json({ cedar }) : line(cedar.trimEnd()));
      return 0;
    },
  };

function some(files: readonly string[]): readonly string[] {
  if (files.length === 0) throw usageError("policy", "FILE is missing");
  return files;
}

function versionIn(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw usageError("policy", `a version is a number; got "${text}"`);
  return Number(text);
}

async function check({ client }: Connection, args: Arguments, files: readonly string[]): Promise<number> {
  const reading = await client.policy.check(rulesIn(files));
  if (args.json) await json(reading);
  else
    await table(
      ["RULE", "EFFECT", "AT"],
      reading.rules.map(({ id, effect, file, line: at }) => [id, effect, `${file}:${at}`]),
    );
  warn(reading.warnings);
  return 0;
}

function warn(warnings: PolicyApplied["warnings"]): void {
  for (const { file, line: at, message } of warnings) note(`${file}:${at}: ${message}`);
}

async function test({ client }: Connection, args: Arguments, files: readonly string[]): Promise<number> {
  const { cases, files: beside } = await casesBeside(files);
  if (cases.length === 0)
    throw usageError("policy", `no cases: write them in a list beside the rules, as ${files[0]?.replace(/\.cedar$/, "") ?? ""}.test.yaml`);
  const report = await client.policy.test(rulesIn(files), cases);
  if (args.json) await json(report);
  else
    await table(
      ["CASE", "RESULT", "DECISION", "BY", "PROBLEM"],
      report.cases.map(({ name, passed, decision, rules, problem }) => [
        name,
        passed ? "ok" : "FAILED",
        decision,
        rules.join(", "),
        problem ?? "-",
      ]),
    );
  note(`${report.passed} passed, ${report.failed} failed, of ${beside.length} files`);
  if (report.untested.length > 0) note(`no case is decided by ${report.untested.join(", ")}`);
  return report.failed === 0 ? 0 : 1;
}

async function apply({ client }: Connection, args: Arguments, files: readonly string[]): Promise<number> {
  const off = args.flag("off");
  if (off && files.length > 0) throw usageError("policy", "--off takes no files");
  const expected = args.text("expect");
  const comment = args.text("comment");
  const applied = await client.policy.apply({
    files: off ? [] : rulesIn(some(files)),
    dry_run: args.flag("dry-run"),
    ...(expected === undefined ? {} : { expected_version: versionIn(expected) }),
    ...(comment === undefined ? {} : { comment }),
  });
  return told(applied, args.json);
}

async function told(applied: PolicyApplied, asJson: boolean): Promise<number> {
  if (asJson) {
    await json(applied);
    return 0;
  }
  const { dry_run: dryRun, version, changed, rules, refuses, warnings } = applied;
  warn(warnings);
  if (refuses.length > 0)
    await table(
      ["SANDBOX", "TENANT", "PROFILE", "KEY", "ACTION", "REFUSED BY"],
      refuses.map((one) => [one.sandbox_id, one.tenant, one.profile, one.key_id ?? "-", one.action, one.rule]),
    );
  else await line(dryRun ? "no live sandbox would be refused" : `version ${version}`);
  const size = rules.length === 0 ? "no rules" : `${rules.length} rule${rules.length === 1 ? "" : "s"}`;
  note(
    dryRun
      ? `${size}; nothing was changed, version ${version} is in force`
      : `${size} in force as version ${version}${changed ? "" : ", as before"}`,
  );
  if (!dryRun && refuses.length > 0) note(`${refuses.length} refusals of what lives: it lives on until its end`);
  return 0;
}

async function show({ client }: Connection, args: Arguments): Promise<number> {
  const [, version] = args.positionals.length === 0 ? [] : expect("policy", args, "VERB", "VERSION?");
  const document = await client.policy.show(version === undefined ? undefined : versionIn(version));
  if (args.json) {
    await json(document);
    return 0;
  }
  for (const { name, text } of document.files) await line(`// ${name}\n${text.trimEnd()}\n`);
  const { rules, applied_at: at, in_force: inForce } = document;
  if (rules === 0) note(inForce ? "no policy is in force: keys do what their scopes let them" : `version ${document.version} has no rules`);
  else note(`version ${document.version}, ${rules} rules, applied ${at ?? "never"}${inForce ? ", in force" : ""}`);
  return 0;
}

async function history({ client }: Connection, args: Arguments): Promise<number> {
  expect("policy", args, "VERB");
  const versions = await client.policy.history();
  if (args.json) await json(versions);
  else
    await table(
      ["VERSION", "RULES", "APPLIED", "BY", "AS", "COMMENT"],
      versions.map((one) => [
        `${one.version}${one.in_force ? " *" : ""}`,
        String(one.rules),
        one.applied_at ?? "-",
        one.applied_by ?? "operator",
        one.rolled_back_to === null ? "-" : `version ${one.rolled_back_to}`,
        one.comment ?? "-",
      ]),
    );
  return 0;
}

async function explain({ client }: Connection, args: Arguments): Promise<number> {
  const [, action = ""] = expect("policy", args, "VERB", "ACTION");
  const files = args.all("file");
  const told = await client.policy.explain(questionIn(action, args), files.length === 0 ? undefined : rulesIn(files));
  if (args.json) {
    await json(told);
    return 0;
  }
  await line(told.rule === null ? "allow: no policy is in force" : `${told.decision} by ${told.rule}`);
  const shown = told.rules.filter(({ verdict }) => verdict !== "does not match");
  if (shown.length > 0)
    await table(
      ["RULE", "EFFECT", "VERDICT", "AT"],
      shown.map((one) => [one.id, one.effect, one.error === undefined ? one.verdict : `fails: ${one.error}`, `${one.file}:${one.line}`]),
    );
  if (told.rules.length > shown.length) note(`${told.rules.length - shown.length} other rules do not match`);
  return 0;
}

import { readFileSync } from "node:fs";
import { SandboxerError } from "../../contract/errors.ts";
import { nearest } from "../../contract/nearest.ts";
import type { AuditAnchor, AuditEntry, AuditOptions, SandBoxer } from "../../sdk/index.ts";
import type { Arguments, Command } from "../command.ts";
import { connect } from "../connect.ts";
import { usageError } from "../failure.ts";
import { count, expect } from "../parse.ts";
import { json, line, table } from "../print.ts";

const VERBS = ["ls", "verify", "export", "anchor"] as const;

export const command: Command = {
  usage: "audit ls | audit verify | audit export | audit anchor",
  about: `Shows who did what, and who was refused; checks that nothing of it was changed, removed, moved or cut off; prints all of it
as NDJSON; or writes its head down now. Each entry holds the hash of the one before it. Keep anchors on another machine: they show
that a log was cut short or written anew. verify ends with 1 where it finds a fault.`,
  options: {
    action: { type: "string", value: "ACTION", about: "ls, export: only these, as key.created" },
    actor: { type: "string", value: "WHO", about: "ls, export: only of this key's id; or local, anonymous, system" },
    target: { type: "string", value: "WHAT", about: "ls, export: only what was done to this id or name" },
    denied: { type: "boolean", about: "ls, export: only refusals" },
    after: { type: "string", value: "SEQ", about: "ls, export: only entries after this one" },
    anchors: { type: "string", value: "FILE", about: "verify: hold the anchors of this file against it, one JSON line each" },
  },
  positionals: [VERBS],
  examples: [
    ["audit ls --denied", "who was refused what"],
    ["audit verify --anchors /mnt/elsewhere/anchors", "prove that it is whole"],
    ["audit export > audit.ndjson", "all of it, with the hashes"],
  ],
  async run(args) {
    const [verb = "ls"] = args.positionals;
    const known = VERBS.find((one) => one === verb);
    if (known === undefined) throw usageError("audit", `unknown verb "${verb}"; did you mean "${nearest(verb, VERBS) ?? "ls"}"?`);
    expect("audit", args, "VERB?");
    const anchors = known === "verify" ? anchorsIn(args.text("anchors")) : [];
    await using connection = await connect();
    const { client } = connection;
    if (known === "verify") return verify(client, anchors, args);
    if (known === "anchor") return anchor(client, args);
    return known === "export" ? exportAll(client, args) : list(client, args);
  },
};

function optionsOf(args: Arguments): AuditOptions {
  const [action, actor, target, after] = ["action", "actor", "target", "after"].map((name) => args.text(name));
  return {
    ...(action === undefined ? {} : { action }),
    ...(actor === undefined ? {} : { actor }),
    ...(target === undefined ? {} : { target }),
    ...(args.flag("denied") ? { result: "denied" } : {}),
    ...(after === undefined ? {} : { after: count("audit", "after", after) }),
  };
}

async function list(client: SandBoxer, args: Arguments): Promise<number> {
  const found: AuditEntry[] = [];
  for await (const entry of client.audit.list(optionsOf(args))) found.push(entry);
  if (args.json) await json(found);
  else
    await table(
      ["SEQ", "AT", "WHO", "TENANT", "FROM", "ACTION", "TARGET", "RESULT"],
      found.map((one) => [
        String(one.seq),
        one.at,
        one.actor,
        one.tenant === "" ? "-" : one.tenant,
        one.origin.address ?? "-",
        one.action,
        one.target ?? "-",
        one.result === "ok" ? "ok" : `denied: ${typeof one.detail["code"] === "string" ? one.detail["code"] : "unknown"}`,
      ]),
    );
  return 0;
}

async function exportAll(client: SandBoxer, args: Arguments): Promise<number> {
  for await (const entry of client.audit.list(optionsOf(args))) await line(JSON.stringify(entry));
  return 0;
}

async function verify(client: SandBoxer, anchors: readonly AuditAnchor[], args: Arguments): Promise<number> {
  const report = await client.audit.verify(anchors);
  if (args.json) await json(report);
  else if (report.problem === null) await line(`whole: ${report.entries} entries, ${report.anchors} anchors; head ${report.head.hash}`);
  else await line(`NOT whole (${report.problem.kind}): ${report.problem.message}`);
  return report.ok ? 0 : 1;
}

async function anchor(client: SandBoxer, args: Arguments): Promise<number> {
  const head = await client.audit.anchor();
  if (args.json || head !== null) await line(JSON.stringify(head));
  else await line("the audit log is empty");
  return 0;
}

function anchorsIn(file: string | undefined): AuditAnchor[] {
  if (file === undefined) return [];
  try {
    return readFileSync(file, "utf8").split("\n").filter((text) => text.trim() !== "").map((text) => JSON.parse(text) as AuditAnchor); // prettier-ignore
  } catch (cause) {
    const why =
      cause instanceof SyntaxError
        ? "is not one JSON anchor a line"
        : `cannot be read (${(cause as NodeJS.ErrnoException).code ?? "unknown"})`;
    throw new SandboxerError("invalid_request", `${file} ${why}`, { hint: "Give the file that audit.anchor_file names.", cause });
  }
}

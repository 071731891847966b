import { readFileSync } from "node:fs";
import { text } from "node:stream/consumers";
import { SandboxerError } from "../../contract/errors.ts";
import { nearest } from "../../contract/nearest.ts";
import type { NetworkUpdate } from "../../sdk/index.ts";
import type { Arguments, Command } from "../command.ts";
import { connect } from "../connect.ts";
import { usageError } from "../failure.ts";
import { interruptible } from "../interrupt.ts";
import { expect } from "../parse.ts";
import { json, line, note } from "../print.ts";
import { logLine, printChange, printCheck, printView } from "../network-tables.ts";

const VERBS = ["show", "check", "log", "suggest", "set"] as const;
type Verb = (typeof VERBS)[number];

const NEEDS: Readonly<Record<Verb, readonly string[]>> = {
  show: ["ID"],
  check: ["PROFILE", "URL"],
  log: ["ID"],
  suggest: ["ID"],
  set: ["ID", "FILE"],
};

export const command: Command = {
  usage: "network show ID | network check PROFILE URL | network log ID | network suggest ID | network set ID FILE",
  about: `Shows what a sandbox may reach; says what a profile would answer to an address, without making anything; prints what was
allowed and denied; proposes rules for what was denied, for you to review; replaces the rules of a live sandbox with those of a
YAML or JSON file ('-' is standard input), within its profile.`,
  options: {
    denied: { type: "boolean", about: "log: only what no rule allowed" },
    follow: { type: "boolean", short: "f", about: "log: go on with new entries, until the sandbox ends or Ctrl-C" },
    method: { type: "string", short: "X", value: "METHOD", about: "check: the request's method; GET unless given" },
    "dry-run": { type: "boolean", about: "set: only say what would change" },
  },
  positionals: [VERBS, { check: "profile", otherwise: "sandbox" }, "path"],
  examples: [
    ["network check python https://pypi.org/simple/", "may a sandbox of that profile do it"],
    ["network log ID --denied -f", "watch what is refused"],
    ["network suggest ID >rules.yaml", "rules to read, and to put into a profile"],
    ["network set ID rules.yaml --dry-run", "what that would change"],
  ],
  async run(args) {
    const [verb = "show"] = args.positionals;
    if (!isVerb(verb)) throw usageError("network", `unknown verb "${verb}"; did you mean "${nearest(verb, VERBS) ?? "show"}"?`);
    const [, first = "", second = ""] = expect("network", args, "VERB", ...NEEDS[verb]);
    if (verb === "check") return check(args, first, second);
    return verb === "log" ? log(args, first) : about(args, verb, first, second);
  },
};

const isVerb = (text: string): text is Verb => VERBS.some((verb) => verb === text);

async function check(args: Arguments, profile: string, url: string): Promise<number> {
  const method = args.text("method");
  await using connection = await connect();
  const answer = await connection.client.network.check({ profile, url, ...(method === undefined ? {} : { method }) });
  await (args.json ? json(answer) : printCheck(answer));
  return answer.verdict === "deny" ? 1 : 0;
}

async function log(args: Arguments, id: string): Promise<number> {
  await using connection = await connect();
  using interrupt = interruptible();
  const sandbox = await connection.client.connect(id);
  const options = { denied: args.flag("denied"), follow: args.flag("follow"), signal: interrupt.signal };
  try {
    for await (const entry of sandbox.network.log(options)) await line(args.json ? JSON.stringify(entry) : logLine(entry));
  } catch (thrown) {
    if (!(interrupt.by !== undefined && thrown instanceof SandboxerError && thrown.code === "canceled")) throw thrown;
  }
  return 0;
}

async function about(args: Arguments, verb: "show" | "suggest" | "set", id: string, file: string): Promise<number> {
  const update = verb === "set" ? await updateIn(file, args.flag("dry-run")) : undefined;
  await using connection = await connect();
  const { network } = await connection.client.connect(id);
  if (update !== undefined) {
    const change = await network.update(update);
    await (args.json ? json(change) : printChange(change));
  } else if (verb === "show") {
    const view = await network.get();
    await (args.json ? json(view) : printView(view));
  } else {
    const suggestion = await network.suggest();
    await (args.json ? json(suggestion) : line(suggestion.yaml.trimEnd()));
    for (const { host, reason, count } of suggestion.left_out)
      note(`left out: ${host}, denied ${count} times (${reason}); no rule can or should allow it`);
  }
  return 0;
}

/** A file's rules: alone, or below `network` as they stand in a profile and as `suggest` prints them. */
async function updateIn(file: string, dryRun: boolean): Promise<NetworkUpdate> {
  const { parse } = await import("yaml");
  let document: unknown;
  try {
    document = parse(file === "-" ? await text(process.stdin) : readFileSync(file, "utf8"), { maxAliasCount: 0 });
  } catch (cause) {
    throw new SandboxerError("invalid_request", `cannot read ${file}: ${cause instanceof Error ? cause.message : String(cause)}`, {
      hint: "Name a YAML or JSON file with network rules.",
      cause,
    });
  }
  const inner = typeof document === "object" && document !== null && "network" in document ? document.network : document;
  if (typeof inner !== "object" || inner === null || Array.isArray(inner))
    throw new SandboxerError("invalid_request", `${file} has no network rules`, { hint: 'Begin it with "allow:".' });
  return { ...(inner as NetworkUpdate), ...(dryRun ? { dry_run: true } : {}) };
}

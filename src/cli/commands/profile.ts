import { readFileSync } from "node:fs";
import { text } from "node:stream/consumers";
import { SandboxerError } from "../../contract/errors.ts";
import type { Command } from "../command.ts";
import { connect } from "../connect.ts";
import { usageError } from "../failure.ts";
import { nearest } from "../../contract/nearest.ts";
import { expect } from "../parse.ts";
import { json, line, table } from "../print.ts";
import { stringify } from "../yaml.ts";

const VERBS = ["ls", "show", "apply", "label"] as const;

export const command: Command = {
  usage: "profile ls | profile show NAME[@VERSION] | profile apply FILE | profile label NAME[@VERSION] [LABEL...]",
  about: `Lists the profiles, shows one, or stores a new version from a YAML or JSON file ('-' is standard input). A stored
version never changes: a change is a new version. label says what an operator thinks of one, for rules of the policy: of every
version where none is named, in place of what was said before; without labels it takes them away.`,
  options: {},
  positionals: [VERBS, "profile"],
  examples: [
    ["profile show python", "the newest version"],
    ["profile apply agent.yaml", "store a version"],
    ["profile label prod-agent@4 reviewed", "for rules to ask"],
  ],
  async run(args) {
    const [verb = "ls", ...rest] = args.positionals;
    if (!VERBS.some((known) => known === verb))
      throw usageError("profile", `unknown verb "${verb}"; did you mean "${nearest(verb, VERBS) ?? "ls"}"?`);
    if (verb === "ls") return list(args.json, rest);
    if (verb === "label") return label(args.json, rest);
    const [, name = ""] = expect("profile", args, "VERB", verb === "show" ? "NAME" : "FILE");
    await using connection = await connect();
    if (verb === "show") {
      const record = await connection.client.profiles.get(name);
      if (args.json) await json(record);
      else {
        await line(
          `# ${record.name}@${record.version}, ${record.digest}${record.shipped ? ", shipped" : ""}\n${stringify(record.document)}`.trimEnd(),
        );
      }
      return 0;
    }
    const record = await connection.client.profiles.apply(await documentIn(name));
    await (args.json ? json(record) : line(`${record.name}@${record.version}  ${record.digest}`));
    return 0;
  },
};

async function label(asJson: boolean, [name, ...labels]: readonly string[]): Promise<number> {
  if (name === undefined) throw usageError("profile", "NAME is missing");
  await using connection = await connect();
  const record = await connection.client.profiles.label(name, labels);
  await (asJson ? json(record) : line(`${record.name}@${record.version}  ${record.labels.join(", ") || "no labels"}`));
  return 0;
}

async function list(asJson: boolean, rest: readonly string[]): Promise<number> {
  if (rest.length > 0) throw usageError("profile", `unexpected argument "${rest[0]}"`);
  await using connection = await connect();
  const found = await connection.client.profiles.list();
  if (asJson) await json(found);
  else {
    const rows = found.map(({ name, version, shipped, digest, labels, document }) => [
      `${name}@${version}`,
      shipped ? "shipped" : "own",
      digest.replace(/^sha256:/, "").slice(0, 12),
      labels.join(",") || "-",
      typeof document["description"] === "string" ? document["description"] : "",
    ]);
    await table(["PROFILE", "FROM", "DIGEST", "LABELS", "DESCRIPTION"], rows);
  }
  return 0;
}

async function documentIn(file: string): Promise<string> {
  if (file === "-") return text(process.stdin);
  try {
    return readFileSync(file, "utf8");
  } catch (cause) {
    throw new SandboxerError("invalid_request", `cannot read ${file} (${(cause as NodeJS.ErrnoException).code ?? "unknown"})`, {
      hint: "Name a YAML or JSON file with a profile.",
      cause,
    });
  }
}

import { readFileSync } from "node:fs";
import { SandboxerError } from "../../contract/errors.ts";
import { nearest } from "../../contract/nearest.ts";
import type { SecretInfo } from "../../sdk/index.ts";
import type { Arguments, Command } from "../command.ts";
import { connect } from "../connect.ts";
import { usageError } from "../failure.ts";
import { confirm, hiddenInput } from "../hidden.ts";
import { expect } from "../parse.ts";
import { json, line, note, table } from "../print.ts";

const VERBS = ["set", "ls", "rotate", "rm"] as const;

export const command: Command = {
  usage: "secrets set NAME | secrets ls | secrets rotate NAME | secrets rm NAME",
  about: `Stores a value under a name, lists the names, gives one a new value, or removes it. Profiles take it from here (source:
{ vault: NAME }), and sandboxes use it without seeing it. The value comes from standard input or --file, never from the command
line; on a terminal it is asked for and not shown. No command prints it again. A change holds from the next request on.`,
  options: {
    file: { type: "string", value: "FILE", about: "set, rotate: read the value from a file; one line end behind it is taken off" },
    host: {
      type: "string",
      multiple: true,
      value: "HOST",
      about: "set, rotate: the only hosts it may go to; may be repeated; kept with a new value",
    },
    replace: { type: "boolean", about: "set: give a name that has a value a new one" },
    yes: { type: "boolean", short: "y", about: "rm: do not ask" },
  },
  positionals: [VERBS, "secret"],
  examples: [
    ["secrets set github --host api.github.com < token.txt", "store one that goes to one host only"],
    ["secrets set npm", "type it, unseen"],
    ["secrets rotate github --file new-token.txt", "for every sandbox, from its next request on"],
    ["secrets rm github --yes", "revoke it at once"],
  ],
  async run(args) {
    const [verb = "ls"] = args.positionals;
    const known = VERBS.find((one) => one === verb);
    if (known === undefined) throw usageError("secrets", `unknown verb "${verb}"; did you mean "${nearest(verb, VERBS) ?? "ls"}"?`);
    if (known === "ls") return list(args);
    return known === "rm" ? remove(args) : store(known, args);
  },
};

async function store(verb: "set" | "rotate", args: Arguments): Promise<number> {
  refuseValue(args);
  const [, name = ""] = expect("secrets", args, "VERB", "NAME");
  const file = args.text("file");
  const hosts = args.all("host");
  if (verb === "rotate" && args.flag("replace")) throw usageError("secrets", "--replace goes with set; rotate replaces anyway");
  // Asked for before a connection is open: people take their time.
  const value = file === undefined ? await hiddenInput("secrets", `value of ${name} (not shown): `) : valueIn(file);
  await using connection = await connect();
  const options = hosts.length === 0 ? {} : { hosts: [...hosts] };
  const stored =
    verb === "set"
      ? await connection.client.secrets.set(name, value, { ...options, replace: args.flag("replace") })
      : await connection.client.secrets.rotate(name, value, options);
  if (args.json) await json(stored);
  else {
    await line(stored.name);
    note(`version ${stored.version}${bound(stored)}`);
  }
  return 0;
}

/** A value there has been seen already: say so, and do not repeat it. */
function refuseValue({ positionals }: Arguments): void {
  const [, name = ""] = positionals;
  if (positionals.length > 2 || name.includes("="))
    throw usageError(
      "secrets",
      "a value on the command line is refused: every user of this machine can see it there, and the shell's history keeps it. Give it on standard input or with --file",
    );
}

function valueIn(file: string): string {
  try {
    return readFileSync(file, "utf8").replace(/\r?\n$/, "");
  } catch (cause) {
    throw new SandboxerError("invalid_request", `cannot read ${file} (${(cause as NodeJS.ErrnoException).code ?? "unknown"})`, {
      hint: "Name a file with the value.",
      cause,
    });
  }
}

async function list(args: Arguments): Promise<number> {
  expect("secrets", args, "VERB?");
  await using connection = await connect();
  const found = await connection.client.secrets.list();
  if (args.json) await json(found);
  else
    await table(
      ["NAME", "VERSION", "HOSTS", "CREATED", "ROTATED", "LAST USED", "SANDBOXES"],
      found.map(({ name, version, hosts, created_at, rotated_at, last_used_at, sandboxes }) => [
        name,
        String(version),
        hosts?.join(",") ?? "any",
        created_at,
        rotated_at ?? "-",
        last_used_at ?? "never",
        String(sandboxes.length),
      ]),
    );
  return 0;
}

async function remove(args: Arguments): Promise<number> {
  const [, name = ""] = expect("secrets", args, "VERB", "NAME");
  await using connection = await connect();
  if (!args.flag("yes")) {
    const here = (await connection.client.secrets.list()).find((secret) => secret.name === name);
    const question = `Remove secret ${name}${here === undefined ? "" : bound(here)}? Its value cannot be had back.`;
    if (here !== undefined && !(await confirm("secrets", question))) {
      note("nothing was removed");
      return 1;
    }
  }
  const removed = await connection.client.secrets.remove(name);
  await (args.json ? json(removed) : line(removed.name));
  return 0;
}

function bound({ sandboxes }: SecretInfo): string {
  return sandboxes.length === 0 ? "" : `, bound to ${sandboxes.length} live sandbox${sandboxes.length === 1 ? "" : "es"}`;
}

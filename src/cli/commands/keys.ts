import { nearest } from "../../contract/nearest.ts";
import type { Scope } from "../../sdk/index.ts";
import type { Arguments, Command } from "../command.ts";
import { connect, type Connection } from "../connect.ts";
import { usageError } from "../failure.ts";
import { expect } from "../parse.ts";
import { json, line, note, table } from "../print.ts";

const VERBS = ["create", "ls", "rm"] as const;
const SCOPES: readonly Scope[] = ["read", "write", "secrets", "admin"];

export const command: Command = {
  usage: "keys create NAME | keys ls | keys rm KEY_ID",
  about: `Makes an API key, lists them, or revokes one. A new key is printed once and stored only as a hash.`,
  options: {
    tenant: { type: "string", value: "TENANT", about: "create: the tenant it is for; your own unless given" },
    scope: {
      type: "string",
      multiple: true,
      value: "SCOPE",
      about: "create: read, write, secrets or admin; may be repeated; default: read and write",
    },
  },
  positionals: [VERBS],
  examples: [
    ["keys create ci --tenant builds", "a key for a tenant"],
    ["keys create viewer --scope read", "one that only sees"],
    ["keys rm KEY_ID", "revoke one at once"],
  ],
  async run(args) {
    const [verb = "ls"] = args.positionals;
    if (!VERBS.some((known) => known === verb))
      throw usageError("keys", `unknown verb "${verb}"; did you mean "${nearest(verb, VERBS) ?? "ls"}"?`);
    if (verb === "create") return create(args);
    const [, id = ""] = verb === "rm" ? expect("keys", args, "VERB", "KEY_ID") : expect("keys", args, "VERB?");
    await using connection = await connect();
    if (verb === "ls") return await list(connection, args.json);
    const revoked = await connection.client.keys.revoke(id);
    await (args.json ? json(revoked) : line(revoked.id));
    return 0;
  },
};

async function create(args: Arguments): Promise<number> {
  const [, name = ""] = expect("keys", args, "VERB", "NAME");
  const tenant = args.text("tenant");
  const scopes = args.all("scope").map((text) => {
    const scope = SCOPES.find((known) => known === text);
    if (scope === undefined) throw usageError("keys", `unknown scope "${text}"; nearest: "${nearest(text, SCOPES) ?? "read"}"`);
    return scope;
  });
  await using connection = await connect();
  const made = await connection.client.keys.create({
    name,
    ...(tenant === undefined ? {} : { tenant }),
    ...(scopes.length === 0 ? {} : { scopes }),
  });
  if (args.json) await json(made);
  else {
    await line(made.secret);
    note(`key ${made.id} for tenant ${made.tenant}, scopes ${made.scopes.join(", ")}; it is not shown again. Use it as SANDBOXER_API_KEY`);
  }
  return 0;
}

async function list(connection: Connection, asJson: boolean): Promise<number> {
  const found = await connection.client.keys.list();
  if (asJson) await json(found);
  else
    await table(
      ["ID", "NAME", "TENANT", "SCOPES", "CREATED", "LAST USED", "REVOKED"],
      found.map((key) => [
        key.id,
        key.name,
        key.tenant,
        key.scopes.join(","),
        key.created_at,
        key.last_used_at ?? "never",
        key.revoked_at ?? "-",
      ]),
    );
  return 0;
}

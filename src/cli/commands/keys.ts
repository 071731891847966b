import { nearest } from "../../contract/nearest.ts";
import type { KeyInfo, Scope } from "../../sdk/index.ts";
import type { Arguments, Command } from "../command.ts";
import { connect, type Connection } from "../connect.ts";
import { usageError } from "../failure.ts";
import { expect } from "../parse.ts";
import { json, line, note, table } from "../print.ts";

const VERBS = ["create", "ls", "rotate", "rm"] as const;
const SCOPES: readonly Scope[] = ["read", "write", "secrets", "admin"];

export const command: Command = {
  usage: "keys create NAME | keys ls | keys rotate KEY_ID | keys rm KEY_ID",
  about: `Makes an API key, lists them, gives one a new secret, or revokes one. A new secret is printed once and stored only as a hash.
Roles are admin, operator, agent and read-only; another name is for rules of the policy, and needs --scope.`,
  options: {
    tenant: { type: "string", value: "TENANT", about: "create: the tenant it is for; your own unless given" },
    project: { type: "string", value: "PROJECT", about: "create: it then sees the sandboxes of this project alone" },
    role: { type: "string", value: "ROLE", about: "create: what it may do, and what rules call it" },
    scope: {
      type: "string",
      multiple: true,
      value: "SCOPE",
      about: "create: read, write, secrets or admin; may be repeated; default: the role's, or read and write",
    },
    label: { type: "string", multiple: true, value: "LABEL", about: "create: for rules of the policy to ask; may be repeated" },
    expires: { type: "string", value: "DURATION", about: "create, rotate: it works no longer than this; for ever unless given" },
    overlap: { type: "string", value: "DURATION", about: "rotate: how long the old secret still works; default: 1h" },
  },
  positionals: [VERBS],
  examples: [
    ["keys create ci --tenant builds --role agent --expires 90d", "a key for a tenant"],
    ["keys create viewer --role read-only", "one that only sees"],
    ["keys rotate KEY_ID --overlap 15m", "a new secret; the old one works a while"],
    ["keys rm KEY_ID", "revoke one at once"],
  ],
  async run(args) {
    const [verb = "ls"] = args.positionals;
    if (!VERBS.some((known) => known === verb))
      throw usageError("keys", `unknown verb "${verb}"; did you mean "${nearest(verb, VERBS) ?? "ls"}"?`);
    if (verb === "create") return create(args);
    const [, id = ""] = verb === "ls" ? expect("keys", args, "VERB?") : expect("keys", args, "VERB", "KEY_ID");
    await using connection = await connect();
    if (verb === "ls") return await list(connection, args.json);
    if (verb === "rotate") return await rotate(connection, args, id);
    const revoked = await connection.client.keys.revoke(id);
    await (args.json ? json(revoked) : line(revoked.id));
    return 0;
  },
};

async function create(args: Arguments): Promise<number> {
  const [, name = ""] = expect("keys", args, "VERB", "NAME");
  const scopes = args.all("scope").map((text) => {
    const scope = SCOPES.find((known) => known === text);
    if (scope === undefined) throw usageError("keys", `unknown scope "${text}"; nearest: "${nearest(text, SCOPES) ?? "read"}"`);
    return scope;
  });
  const [tenant, project, role, expires] = [args.text("tenant"), args.text("project"), args.text("role"), args.text("expires")];
  const labels = args.all("label");
  await using connection = await connect();
  const made = await connection.client.keys.create({
    name,
    ...(tenant === undefined ? {} : { tenant }),
    ...(project === undefined ? {} : { project }),
    ...(role === undefined ? {} : { role }),
    ...(scopes.length === 0 ? {} : { scopes }),
    ...(labels.length === 0 ? {} : { labels: [...labels] }),
    ...(expires === undefined ? {} : { expires_in: expires }),
  });
  return told(args, made);
}

async function rotate({ client }: Connection, args: Arguments, id: string): Promise<number> {
  const [overlap, expires] = [args.text("overlap"), args.text("expires")];
  const made = await client.keys.rotate(id, {
    ...(overlap === undefined ? {} : { overlap }),
    ...(expires === undefined ? {} : { expires_in: expires }),
  });
  return told(args, made);
}

async function told(args: Arguments, made: KeyInfo & { secret: string }): Promise<number> {
  if (args.json) {
    await json(made);
    return 0;
  }
  await line(made.secret);
  const whose = `${made.tenant}${made.project === null ? "" : `/${made.project}`}`;
  const role = made.role === null ? "" : ` role ${made.role},`;
  const old = made.old_secret_until === null ? "" : ` The old secret works until ${made.old_secret_until}.`;
  note(
    `key ${made.id} for tenant ${whose},${role} scopes ${made.scopes.join(", ")}; it is not shown again. Use it as SANDBOXER_API_KEY.${old}`,
  );
  return 0;
}

/** What stands in the way of a key, the strongest first. */
function stateOf(key: KeyInfo): string {
  if (key.revoked_at !== null) return "revoked";
  if (key.expires_at !== null && Date.parse(key.expires_at) <= Date.now()) return "expired";
  return key.expires_at === null ? "works" : `until ${key.expires_at}`;
}

async function list(connection: Connection, asJson: boolean): Promise<number> {
  const found = await connection.client.keys.list();
  if (asJson) await json(found);
  else
    await table(
      ["ID", "NAME", "TENANT", "ROLE", "SCOPES", "LABELS", "LAST USED", "STATE"],
      found.map((key) => [
        key.id,
        key.name,
        key.project === null ? key.tenant : `${key.tenant}/${key.project}`,
        key.role ?? "-",
        key.scopes.join(","),
        key.labels.join(",") || "-",
        key.last_used_at ?? "never",
        stateOf(key),
      ]),
    );
  return 0;
}

import { nearest } from "../../contract/nearest.ts";
import type { TenantInfo } from "../../sdk/index.ts";
import type { Command } from "../command.ts";
import { connect } from "../connect.ts";
import { usageError } from "../failure.ts";
import { expect } from "../parse.ts";
import { json, line, note, table } from "../print.ts";

const VERBS = ["create", "ls", "suspend", "resume"] as const;

export const command: Command = {
  usage: "tenant create NAME | tenant ls | tenant suspend NAME | tenant resume NAME",
  about: `Makes a tenant, lists them, or shuts one out and lets it in again. A tenant also begins with its first key. No key of a
suspended tenant is let in, from the next request on; its sandboxes live until their end.`,
  options: { description: { type: "string", value: "TEXT", about: "create: for people" } },
  positionals: [VERBS],
  examples: [
    ["tenant create acme --description 'agents of Acme'", "one more"],
    ["tenant suspend acme", "shut it out at once"],
  ],
  async run(args) {
    const [verb = "ls"] = args.positionals;
    const known = VERBS.find((one) => one === verb);
    if (known === undefined) throw usageError("tenant", `unknown verb "${verb}"; did you mean "${nearest(verb, VERBS) ?? "ls"}"?`);
    const [, name = ""] = known === "ls" ? expect("tenant", args, "VERB?") : expect("tenant", args, "VERB", "NAME");
    const description = args.text("description");
    await using connection = await connect();
    const { tenants } = connection.client;
    if (known === "ls") {
      const found = await tenants.list();
      if (args.json) await json(found);
      else
        await table(
          ["TENANT", "KEYS", "SANDBOXES", "CREATED", "SUSPENDED", "DESCRIPTION"],
          found.map((one) => [
            one.name,
            String(one.keys),
            String(one.sandboxes),
            one.created_at,
            one.suspended_at ?? "-",
            one.description ?? "-",
          ]),
        );
      return 0;
    }
    const tenant =
      known === "create"
        ? await tenants.create({ name, ...(description === undefined ? {} : { description }) })
        : await (known === "suspend" ? tenants.suspend(name) : tenants.resume(name));
    await (args.json ? json(tenant) : line(tenant.name));
    if (!args.json && known === "suspend") note(`${counted(tenant)} shut out`);
    return 0;
  },
};

function counted({ keys, sandboxes }: TenantInfo): string {
  return `${keys} key${keys === 1 ? "" : "s"} with ${sandboxes} live sandbox${sandboxes === 1 ? "" : "es"}`;
}

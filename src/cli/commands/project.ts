import { nearest } from "../../contract/nearest.ts";
import type { Command } from "../command.ts";
import { connect } from "../connect.ts";
import { usageError } from "../failure.ts";
import { expect } from "../parse.ts";
import { json, line, table } from "../print.ts";

const VERBS = ["create", "ls", "rm"] as const;

export const command: Command = {
  usage: "project create NAME | project ls | project rm NAME",
  about: `Makes a part of a tenant, lists them, or removes one. A key that is made with --project sees the sandboxes of that project
alone. One with keys that work or live sandboxes is not removed.`,
  options: {
    tenant: { type: "string", value: "TENANT", about: "create, rm: whose; your own unless given" },
    description: { type: "string", value: "TEXT", about: "create: for people" },
  },
  positionals: [VERBS],
  examples: [
    ["project create web --tenant acme", "a part of acme"],
    ["keys create web-agent --tenant acme --project web --role agent", "a key for it"],
  ],
  async run(args) {
    const [verb = "ls"] = args.positionals;
    const known = VERBS.find((one) => one === verb);
    if (known === undefined) throw usageError("project", `unknown verb "${verb}"; did you mean "${nearest(verb, VERBS) ?? "ls"}"?`);
    const [, name = ""] = known === "ls" ? expect("project", args, "VERB?") : expect("project", args, "VERB", "NAME");
    const [tenant, description] = [args.text("tenant"), args.text("description")];
    await using connection = await connect();
    const { projects } = connection.client;
    if (known === "create") {
      const made = await projects.create({
        name,
        ...(tenant === undefined ? {} : { tenant }),
        ...(description === undefined ? {} : { description }),
      });
      await (args.json ? json(made) : line(`${made.tenant}/${made.name}`));
    } else if (known === "rm") {
      await projects.remove(name, tenant);
      await (args.json ? json({ name, removed: true }) : line(name));
    } else {
      const found = await projects.list();
      if (args.json) await json(found);
      else
        await table(
          ["PROJECT", "TENANT", "KEYS", "SANDBOXES", "CREATED", "DESCRIPTION"],
          found.map((one) => [one.name, one.tenant, String(one.keys), String(one.sandboxes), one.created_at, one.description ?? "-"]),
        );
    }
    return 0;
  },
};

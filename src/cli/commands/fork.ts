import type { ForkRequest } from "../../sdk/index.ts";
import type { Command } from "../command.ts";
import { connect } from "../connect.ts";
import { count, duration, expect } from "../parse.ts";
import { json, line } from "../print.ts";

export const command: Command = {
  usage: "fork ID [OPTIONS]",
  about: `Makes sandboxes that go on from where one is now, and prints their ids: all or none. The one stands still while its changed files are copied.
Each has an id, a host name and tokens of its own. The snapshot that they have in common goes with the last of them.`,
  options: {
    count: { type: "string", short: "n", value: "COUNT", about: "How many, at most 100; 1 unless given" },
    name: { type: "string", value: "NAME", about: "A name for people" },
    ttl: { type: "string", value: "DURATION", about: "Each ends then unless renewed" },
  },
  positionals: ["sandbox"],
  examples: [["fork ID --count 5", "five ways to go on"]],
  async run(args) {
    const [id = ""] = expect("fork", args, "ID");
    const [many, name, ttl] = ["count", "name", "ttl"].map((option) => args.text(option));
    const request: ForkRequest = {
      ...(many === undefined ? {} : { count: count("fork", "count", many) }),
      ...(name === undefined ? {} : { name }),
      ...(ttl === undefined ? {} : { ttl: duration(ttl) }),
    };
    await using connection = await connect();
    const source = await connection.client.connect(id);
    const forks = await source.fork(request);
    if (args.json) await json(forks.map(({ info }) => info));
    else for (const one of forks) await line(one.id);
    return 0;
  },
};

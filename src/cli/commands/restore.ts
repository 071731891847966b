import type { Command } from "../command.ts";
import { connect } from "../connect.ts";
import { expect } from "../parse.ts";
import { json, line } from "../print.ts";
import { REQUEST_OPTIONS, requestFrom } from "../request.ts";

export const command: Command = {
  usage: "restore SNAPSHOT [OPTIONS]",
  about: `Makes a sandbox that goes on from a snapshot, and prints its id. It has the profile of the snapshot's sandbox unless another is given, an id
and tokens of its own, and the rules that hold now. The profile's setup is not run again.`,
  options: REQUEST_OPTIONS,
  positionals: ["snapshot"],
  examples: [["restore SNAPSHOT --ttl 2h", "go on from there, for two hours"]],
  async run(args) {
    const [snapshot = ""] = expect("restore", args, "SNAPSHOT");
    const request = requestFrom("restore", args);
    await using connection = await connect();
    const sandbox = await connection.client.create({ ...request, snapshot });
    await (args.json ? json(sandbox.info) : line(sandbox.id));
    return 0;
  },
};

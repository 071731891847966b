import type { Command } from "../command.ts";
import { connect } from "../connect.ts";
import { expect } from "../parse.ts";
import { json, line } from "../print.ts";

export const command: Command = {
  usage: "pause [OPTIONS] ID",
  about: `Has sandbox ID stand still: nothing in it runs until it is resumed, and its memory and processes are kept. With --suspend its
processes end, and its disk alone is kept. Its max_life goes on.`,
  options: { suspend: { type: "boolean", about: "Keep its disk alone, and let go of its memory and processes" } },
  positionals: ["sandbox"],
  examples: [
    ["pause ID", "until 'resume ID'"],
    ["pause --suspend ID", "for longer: it uses no memory then"],
  ],
  async run(args) {
    const [id = ""] = expect("pause", args, "ID");
    await using connection = await connect();
    const sandbox = await connection.client.connect(id);
    const info = await (args.flag("suspend") ? sandbox.suspend() : sandbox.pause());
    if (args.json) await json(info);
    else await line(`${info.id} is ${info.state}`);
    return 0;
  },
};

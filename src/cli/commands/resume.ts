import type { Command } from "../command.ts";
import { connect } from "../connect.ts";
import { expect } from "../parse.ts";
import { json, line, note } from "../print.ts";

export const command: Command = {
  usage: "resume ID",
  about: `Has sandbox ID run again that is paused or suspended. Where its disk is not the one of before, it says so: state_lost.`,
  options: {},
  positionals: ["sandbox"],
  examples: [["resume ID", "after 'pause ID'"]],
  async run(args) {
    const [id = ""] = expect("resume", args, "ID");
    await using connection = await connect();
    const info = await (await connection.client.connect(id)).resume();
    if (args.json) await json(info);
    else {
      await line(`${info.id} is ${info.state}`);
      if (info.state_lost) note("its state is lost: what it held before is not there");
    }
    return 0;
  },
};

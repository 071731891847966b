import { nearest } from "../../contract/nearest.ts";
import { CATALOG } from "../catalog.ts";
import type { Command } from "../command.ts";
import { usageError } from "../failure.ts";
import { commandHelp, generalHelp } from "../help.ts";
import { expect } from "../parse.ts";
import { json, write } from "../print.ts";

export const command: Command = {
  usage: "help [COMMAND]",
  about: `Shows what there is, or how one command is used.`,
  options: {},
  positionals: [Object.keys(CATALOG)],
  examples: [["help run", "how to run a command"]],
  async run(args) {
    const [name] = expect("help", args, "COMMAND?");
    if (name === undefined) {
      if (args.json) await json(Object.entries(CATALOG).map(([command_, { summary }]) => ({ command: command_, summary })));
      else await write(process.stdout, generalHelp());
      return 0;
    }
    const entry = Object.hasOwn(CATALOG, name) ? CATALOG[name] : undefined;
    if (entry === undefined) {
      const near = nearest(name, Object.keys(CATALOG));
      throw usageError("", `unknown command "${name}"${near === undefined ? "" : `; did you mean "${near}"?`}`);
    }
    const { command: found } = await entry.load();
    await (args.json
      ? json({ command: name, usage: found.usage, about: found.about, options: found.options, examples: found.examples })
      : write(process.stdout, commandHelp(name, found)));
    return 0;
  },
};

import type { Command } from "../command.ts";
import { expect } from "../parse.ts";
import { json, line } from "../print.ts";
import { version } from "../version.ts";

export const command: Command = {
  usage: "version",
  about: `Prints the version of sand-boxer and of the Node it runs on.`,
  options: {},
  positionals: [],
  examples: [],
  async run(args) {
    expect("version", args);
    await (args.json
      ? json({ version: version(), node: process.versions.node })
      : line(`sand-boxer ${version()} (node ${process.versions.node})`));
    return 0;
  },
};

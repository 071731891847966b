import type { Command } from "../command.ts";
import { connect } from "../connect.ts";
import { expect } from "../parse.ts";
import { json, line, table } from "../print.ts";
import { plain } from "../style.ts";

export const command: Command = {
  usage: "backends",
  about: `Lists the configured backends as they were probed: whether they are available, and the isolation each can give.`,
  options: {},
  positionals: [],
  examples: [["backends --json", "with every capability and limit"]],
  async run(args) {
    expect("backends", args);
    await using connection = await connect();
    const found = await connection.client.backends();
    if (args.json) await json(found);
    else {
      const rows = found.map(({ name, provider, available, reason, isolation, capabilities }) => [
        name,
        provider,
        available ? "available" : `unavailable: ${reason ?? "no reason given"}`,
        isolation.map(({ level, runtime }) => `${level} (${runtime})`).join(", ") || "-",
        String(Object.keys(capabilities).length),
      ]);
      await table(["BACKEND", "PROVIDER", "STATE", "ISOLATION", "CAPABILITIES"], rows);
      for (const { name, isolation } of found)
        for (const { level, notes } of isolation) for (const text of notes) await line(plain(`  ${name}, ${level}: ${text}`));
    }
    return 0;
  },
};

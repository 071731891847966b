import { formatBytes, formatDuration } from "../../contract/format.ts";
import type { ProcessInfo } from "../../sdk/index.ts";
import type { Command } from "../command.ts";
import { connect } from "../connect.ts";
import { expect } from "../parse.ts";
import { json, relative, table } from "../print.ts";

export const command: Command = {
  usage: "ps ID",
  about: `Lists the background processes and terminals that were started in sandbox ID, ended ones too.`,
  options: {},
  positionals: ["sandbox"],
  examples: [["exec -d ID -- sleep 60 && sand-boxer ps ID", "start one and see it"]],
  async run(args) {
    const [id = ""] = expect("ps", args, "ID");
    await using connection = await connect();
    const found = (await (await connection.client.connect(id)).processes.list()).map(({ info }) => info);
    if (args.json) await json(found);
    else {
      const rows = found.map((info) => [
        info.id,
        stateOf(info),
        relative(info.started_at, formatDuration),
        formatBytes(info.output_bytes),
        commandOf(info),
      ]);
      await table(["PROCESS", "STATE", "STARTED", "OUTPUT", "COMMAND"], rows);
    }
    return 0;
  },
};

function stateOf({ state, end }: ProcessInfo): string {
  if (end === null) return state;
  return end.outcome === "exited"
    ? `exited ${end.exit_code}`
    : end.outcome === "signaled"
      ? `signaled ${end.signal ?? ""}`
      : end.outcome.replace("_", " ");
}

function commandOf({ command: { argv, shell } }: ProcessInfo): string {
  const text =
    shell ?? (argv ?? []).map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`)).join(" ");
  return text.length > 80 ? `${text.slice(0, 79)}…` : text;
}

import { SandboxerError } from "../../contract/errors.ts";
import type { Process, Sandbox } from "../../sdk/index.ts";
import type { Command } from "../command.ts";
import { connect } from "../connect.ts";
import { count, expect } from "../parse.ts";
import { interruptible } from "../interrupt.ts";
import { line, note, write } from "../print.ts";

export const command: Command = {
  usage: "logs [OPTIONS] ID [PROCESS]",
  about: `Prints what a background process wrote, standard output and error to ours. PROCESS is an id from 'ps'; the one
started last unless given.`,
  options: {
    follow: { type: "boolean", short: "f", about: "Go on until it ends" },
    offset: { type: "string", value: "BYTES", about: "Where in its journal to begin" },
  },
  positionals: ["sandbox"],
  examples: [["logs -f ID PROCESS", "watch it work"]],
  async run(args) {
    const [id = "", processId] = expect("logs", args, "ID", "PROCESS?");
    const offset = args.text("offset");
    await using connection = await connect();
    using interrupt = interruptible();
    const process_ = await find(await connection.client.connect(id), processId);
    const options = {
      follow: args.flag("follow"),
      signal: interrupt.signal,
      offset: offset === undefined ? 0 : count("logs", "offset", offset),
    };
    try {
      for await (const event of process_.output(options)) {
        if (args.json)
          await line(JSON.stringify(event.type === "ended" ? event : { ...event, data: Buffer.from(event.data).toString("base64") }));
        else if (event.type === "ended") {
          if (event.truncated) note("its journal was full; later output was dropped");
        } else await write(event.type === "stdout" ? process.stdout : process.stderr, event.data);
      }
    } catch (thrown) {
      if (!(interrupt.by !== undefined && thrown instanceof SandboxerError && thrown.code === "canceled")) throw thrown;
    }
    return 0;
  },
};

async function find(sandbox: Sandbox, processId: string | undefined): Promise<Process> {
  if (processId !== undefined) return sandbox.processes.get(processId);
  const all = await sandbox.processes.list();
  const last = all.toSorted((a, b) => Date.parse(a.info.started_at) - Date.parse(b.info.started_at)).at(-1);
  if (last === undefined)
    throw new SandboxerError("process_not_found", `sandbox ${sandbox.id} has no background process`, {
      hint: "Start one with 'sand-boxer exec -d ID -- CMD'.",
    });
  return last;
}

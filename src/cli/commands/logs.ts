import { SandboxerError } from "../../contract/errors.ts";
import type { Process, Sandbox, ServiceLogOptions } from "../../sdk/index.ts";
import type { Command } from "../command.ts";
import { connect } from "../connect.ts";
import { usageError } from "../failure.ts";
import { count, expect } from "../parse.ts";
import { interruptible } from "../interrupt.ts";
import { line, note, write } from "../print.ts";

export const command: Command = {
  usage: "logs [OPTIONS] ID [PROCESS] | logs --service NAME ID",
  about: `Prints what a background process wrote, standard output and error to ours. PROCESS is an id from 'ps'; the one
started last unless given. With --service, what a service beside the sandbox wrote: a database, as the profile has it.`,
  options: {
    follow: { type: "boolean", short: "f", about: "Go on until it ends" },
    offset: { type: "string", value: "BYTES", about: "Where in its journal to begin" },
    service: { type: "string", value: "NAME", about: "Of this service, named in the profile" },
    tail: { type: "string", value: "LINES", about: "With --service: lines from the end to begin with; 1000 unless given" },
  },
  positionals: ["sandbox"],
  examples: [
    ["logs -f ID PROCESS", "watch it work"],
    ["logs --service db --tail 20 ID", "the last words of a database"],
  ],
  async run(args) {
    const [id = "", processId] = expect("logs", args, "ID", "PROCESS?");
    const [offset, service, tail] = [args.text("offset"), args.text("service"), args.text("tail")];
    if (service !== undefined && (processId !== undefined || offset !== undefined))
      throw usageError("logs", "--service takes no PROCESS and no --offset");
    if (service === undefined && tail !== undefined) throw usageError("logs", "--tail needs --service");
    await using connection = await connect();
    using interrupt = interruptible();
    const sandbox = await connection.client.connect(id);
    if (service !== undefined) {
      const lines = tail === undefined ? {} : { tail: count("logs", "tail", tail) };
      await printService(sandbox, service, { ...lines, follow: args.flag("follow"), signal: interrupt.signal }, args.json);
      return 0;
    }
    const process_ = await find(sandbox, processId);
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

async function printService(sandbox: Sandbox, name: string, options: ServiceLogOptions, asJson: boolean): Promise<void> {
  try {
    for await (const { type, data } of sandbox.services.logs(name, options)) {
      if (asJson) await line(JSON.stringify({ type, data: Buffer.from(data).toString("base64") }));
      else await write(type === "stdout" ? process.stdout : process.stderr, data);
    }
  } catch (thrown) {
    if (options.signal?.aborted !== true) throw thrown;
  }
}

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

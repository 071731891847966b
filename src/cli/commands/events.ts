import { SandboxerError } from "../../contract/errors.ts";
import type { Command } from "../command.ts";
import { connect } from "../connect.ts";
import { interruptible } from "../interrupt.ts";
import { count, expect } from "../parse.ts";
import { line } from "../print.ts";
import { paint, plain } from "../style.ts";

export const command: Command = {
  usage: "events [OPTIONS]",
  about: `Prints the ledger's events in order, one a line (as JSON: NDJSON). With --follow it goes on with new ones, and takes a
broken connection up again where it broke.`,
  options: {
    follow: { type: "boolean", short: "f", about: "Go on with new ones, until Ctrl-C" },
    sandbox: { type: "string", short: "s", value: "ID", about: "Only this sandbox's", complete: "sandbox" },
    type: {
      type: "string",
      short: "t",
      multiple: true,
      value: "TYPE",
      about: "Only these, as sandbox.ready or sandbox.*; may be repeated",
      complete: "event",
    },
    cloudevents: { type: "boolean", about: "As CloudEvents 1.0, one JSON line each" },
    after: { type: "string", value: "SEQ", about: "Only those after this one" },
  },
  positionals: [],
  examples: [
    ["events --sandbox ID", "one sandbox's history"],
    ["events -f --json", "a live feed for a program"],
    ["events -f --cloudevents --type 'sandbox.*'", "the same as CloudEvents"],
  ],
  async run(args) {
    expect("events", args);
    const [sandboxId, after] = [args.text("sandbox"), args.text("after")];
    await using connection = await connect();
    using interrupt = interruptible();
    const options = {
      follow: args.flag("follow"),
      after: after === undefined ? 0 : count("events", "after", after),
      signal: interrupt.signal,
      ...(sandboxId === undefined ? {} : { sandboxId }),
      ...(args.all("type").length === 0 ? {} : { types: args.all("type") }),
    };
    try {
      if (args.flag("cloudevents")) {
        for await (const event of connection.client.cloudEvents(options)) await line(JSON.stringify(event));
        return 0;
      }
      for await (const event of connection.client.events(options)) {
        if (args.json) await line(JSON.stringify(event));
        else
          await line(
            `${String(event.seq).padStart(6)}  ${paint(process.stdout, "dim", event.at)}  ${(event.sandbox_id ?? "-").padEnd(24)}  ${event.type.padEnd(22)}  ${plain(details(event.data))}`.trimEnd(),
          );
      }
    } catch (thrown) {
      if (!(interrupt.by !== undefined && thrown instanceof SandboxerError && thrown.code === "canceled")) throw thrown;
    }
    return 0;
  },
};

function details(data: Record<string, unknown>): string {
  return Object.entries(data)
    .filter(([, value]) => value !== null)
    .map(([key, value]) => `${key}=${typeof value === "string" ? value : JSON.stringify(value)}`)
    .join(" ");
}

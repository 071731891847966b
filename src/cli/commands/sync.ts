import type { Command } from "../command.ts";
import { connect } from "../connect.ts";
import { usageError } from "../failure.ts";
import { interruptible, signalCode } from "../interrupt.ts";
import { expect } from "../parse.ts";
import { json, line, note } from "../print.ts";
import { explainSync, isUnsettled, syncWith } from "../workspace.ts";

/** Left where something needs a person's word. */
const UNSETTLED = 1;

export const command: Command = {
  usage: "sync ID DIR",
  about: `Brings DIR of this machine and a sandbox's workspace in step: what changed on one side since the last sync goes to the
other, removals too. What changed on both sides is a conflict: it is named, neither is touched, and sync exits 1 until
--ours or --theirs says for that path whose version wins. Ignored files (.gitignore, .sandboxerignore) and .git stay
where they are. What is replaced or removed here is kept in a backup directory, which is named.`,
  options: {
    to: { type: "string", value: "PATH", about: "The directory inside; the workspace unless given" },
    push: { type: "boolean", about: "Only change what is inside" },
    pull: { type: "boolean", about: "Only change what is here" },
    ours: { type: "string", multiple: true, value: "PATH", about: "The version here wins at this path and below; may be repeated" },
    theirs: { type: "string", multiple: true, value: "PATH", about: "The version inside wins at this path and below; may be repeated" },
    git: { type: "boolean", about: "Take .git along; its hooks and configuration are never taken from inside" },
    "no-ignore": { type: "boolean", about: "Take ignored files along" },
    "dry-run": { type: "boolean", about: "Only say what would be done" },
  },
  positionals: ["sandbox", "path"],
  examples: [
    ["sync ID .", "this directory and the workspace, both ways"],
    ["sync ID . --pull --dry-run", "what the agent has changed"],
    ["sync ID . --theirs src/main.py", "settle a conflict"],
  ],
  async run(args) {
    const [id = "", directory = ""] = expect("sync", args, "ID", "DIR");
    if (args.flag("push") && args.flag("pull"))
      throw usageError("sync", "--push and --pull cannot be used together; without either both ways are synced");
    await using connection = await connect();
    using interrupt = interruptible();
    const sandbox = await connection.client.connect(id);
    const to = args.text("to");
    try {
      const report = await syncWith(sandbox, directory, {
        direction: args.flag("push") ? "push" : args.flag("pull") ? "pull" : "both",
        ours: args.all("ours"),
        theirs: args.all("theirs"),
        git: args.flag("git"),
        ignoreFiles: !args.flag("no-ignore"),
        dryRun: args.flag("dry-run"),
        signal: interrupt.signal,
        ...(to === undefined ? {} : { to }),
      });
      if (args.json) await json(report);
      else {
        for (const { path, change } of report.pushed) await line(`-> ${change.padEnd(8)}  ${path}`);
        for (const { path, change } of report.pulled) await line(`<- ${change.padEnd(8)}  ${path}`);
        explainSync(report);
        const { here, inside } = report.left;
        if (here + inside > 0) note(`not asked for: ${here} changes here, ${inside} inside`);
      }
      return isUnsettled(report) ? UNSETTLED : 0;
    } catch (thrown) {
      if (interrupt.by !== undefined) return signalCode(interrupt.by);
      throw thrown;
    }
  },
};

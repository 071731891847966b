import type { Command } from "../command.ts";
import { connect } from "../connect.ts";
import { copyIn, readCopy } from "../copy.ts";
import { OWN_FAILURE, usageError } from "../failure.ts";
import { runForDocument, runInForeground } from "../foreground.ts";
import { interruptible, signalCode } from "../interrupt.ts";
import { json, note } from "../print.ts";
import { EXEC_OPTIONS, REQUEST_OPTIONS, foregroundFrom, requestFrom } from "../request.ts";
import { copiedFor, explainSync, isUnsettled, mountFrom, syncWith, WORKSPACE_OPTIONS } from "../workspace.ts";

export const command: Command = {
  usage: "run [OPTIONS] -- CMD [ARG...]",
  about: `Makes a sandbox, runs CMD in it with its output streamed, ends the sandbox, and exits with CMD's exit code.
A pipe or file on standard input is passed on. Ctrl-C, SIGTERM and SIGHUP end the command and the sandbox; a
second one leaves at once, and the sandbox then ends at its ttl. Exit codes of our own: 124 the timeout, 137
killed, 125 a failure of sand-boxer's, with its code, reason and next step on standard error.`,
  options: {
    ...REQUEST_OPTIONS,
    ...WORKSPACE_OPTIONS,
    ...EXEC_OPTIONS,
    copy: { type: "string", short: "c", multiple: true, value: "SRC:DST", about: "Copy a file or tree in first; may be repeated" },
    keep: { type: "boolean", about: "Leave the sandbox for later use, until its ttl" },
  },
  trailing: 0,
  examples: [
    ["run -- uname -a", "one command in the default profile"],
    ["run -p python -c ./data.csv:in.csv -c ./report.py:report.py -- python3 report.py in.csv", "with files"],
    ["run --timeout 30 --memory 256MiB -- sh -c 'make test'", "with limits"],
    ["run --workspace . -- npm test", "on a copy of this directory; what changes there comes back"],
    ["run -t -- bash", "on a terminal"],
  ],
  async run(args) {
    const [first] = args.trailing;
    if (first === undefined) throw usageError("run", "no command is given; put it after --");
    const options = foregroundFrom("run", args);
    const copies = args.all("copy").map(readCopy);
    const request = { ...requestFrom("run", args), ...mountFrom("run", args) };

    await using connection = await connect({ attach: options.tty });
    let made = "a sandbox that was being made";
    const creation = new AbortController();
    using interrupt = interruptible({
      again(name) {
        note(`left at once; ${made} ends at its ttl`);
        creation.abort();
        process.exit(signalCode(name));
      },
    });
    // A first signal lets the create finish, so that what it made can be ended.
    const sandbox = await connection.client.create({ ...request, signal: creation.signal });
    made = `sandbox ${sandbox.id}`;
    try {
      const copied = copiedFor(sandbox, args);
      if (copied !== undefined) explainSync(await syncWith(sandbox, copied.directory, { direction: "push", signal: interrupt.signal }));
      for (const copy of copies) {
        if (interrupt.by === undefined) await copyIn(sandbox, copy.source, copy.target, { signal: interrupt.signal, quiet: true });
      }
      if (interrupt.by !== undefined) return signalCode(interrupt.by);
      const bringBack = async (code: number) => {
        if (copied?.mirror !== true || interrupt.by !== undefined) return { code, synced: undefined };
        const report = await syncWith(sandbox, copied.directory, { signal: interrupt.signal });
        explainSync(report);
        return { code: code === 0 && isUnsettled(report) ? OWN_FAILURE : code, synced: report };
      };
      if (!args.json) return (await bringBack(await runInForeground(sandbox, args.trailing, options, interrupt))).code;
      const { document, code: own } = await runForDocument(sandbox, args.trailing, options, interrupt);
      const { code, synced } = await bringBack(own);
      const { id, profile, backend, isolation, narrowed } = sandbox.info;
      await json({
        sandbox: { id, profile, backend, isolation, narrowed, kept: args.flag("keep") },
        ...document,
        ...(synced === undefined ? {} : { synced }),
      });
      return code;
    } finally {
      if (args.flag("keep") && interrupt.by === undefined) note(`kept ${sandbox.id}; end it with: sand-boxer rm ${sandbox.id}`);
      else await sandbox.destroy();
    }
  },
};

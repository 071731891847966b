import type { Command } from "../command.ts";
import { connect } from "../connect.ts";
import { usageError } from "../failure.ts";
import { runForDocument, runInForeground } from "../foreground.ts";
import { interruptible } from "../interrupt.ts";
import { json, line } from "../print.ts";
import { EXEC_OPTIONS, foregroundFrom } from "../request.ts";

export const command: Command = {
  usage: "exec [OPTIONS] ID -- CMD [ARG...]",
  about: `Runs CMD in sandbox ID as if it ran here: standard input (a pipe or file), output and error, and the exit code are
passed on. A signal to sand-boxer ends the command's whole process tree and gives 128+n. With -t the command has
a terminal: keys, size and signals go to it. Options stand before ID.`,
  options: {
    ...EXEC_OPTIONS,
    detach: { type: "boolean", short: "d", about: "Start it in the background and print its process id (see 'ps', 'logs')" },
  },
  positionals: ["sandbox"],
  trailing: 1,
  examples: [
    ["exec ID -- python3 script.py", "run a script"],
    ["exec ID -- sh -c 'sort | uniq -c' < names.txt", "with input"],
    ["exec -t ID -- htop", "on a terminal"],
    ["exec -d ID -- python3 -m http.server", "in the background"],
  ],
  async run(args) {
    const [id] = args.positionals;
    if (id === undefined) throw usageError("exec", "ID is missing");
    if (args.trailing.length === 0) throw usageError("exec", "no command is given; put it after --");
    const options = foregroundFrom("exec", args);
    const detach = args.flag("detach");
    if (detach && (options.interactive || options.tty)) throw usageError("exec", "--detach cannot be used with --interactive or --tty");

    await using connection = await connect({ attach: options.tty });
    using interrupt = interruptible();
    const sandbox = await connection.client.connect(id);
    if (detach) {
      const { cwd, user, timeout, env } = options;
      const started = await sandbox.spawn(args.trailing, {
        env,
        ...(cwd === undefined ? {} : { cwd }),
        ...(user === undefined ? {} : { user }),
        ...(timeout === undefined ? {} : { timeout }),
      });
      await (args.json ? json(started.info) : line(started.id));
      return 0;
    }
    if (!args.json) return await runInForeground(sandbox, args.trailing, options, interrupt);
    const { document, code } = await runForDocument(sandbox, args.trailing, options, interrupt);
    await json(document);
    return code;
  },
};

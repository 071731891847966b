import type { Command } from "../command.ts";
import { connect } from "../connect.ts";
import { usageError } from "../failure.ts";
import { interruptible } from "../interrupt.ts";
import { expect } from "../parse.ts";
import { EXEC_OPTIONS, foregroundFrom } from "../request.ts";
import { runOnTerminal } from "../terminal.ts";

const { env, cwd, user } = EXEC_OPTIONS;

export const command: Command = {
  usage: "shell [OPTIONS] ID",
  about: `Opens a shell (bash where the sandbox has it) on a terminal in sandbox ID. Its exit code is the shell's.`,
  options: { env, cwd, user },
  positionals: ["sandbox"],
  examples: [["shell ID", "look around; leave with exit or Ctrl-D"]],
  async run(args) {
    const [id = ""] = expect("shell", args, "ID");
    if (args.json) throw usageError("shell", "a shell has no JSON form; use 'exec --json'");
    await using connection = await connect({ attach: true });
    using interrupt = interruptible();
    return await runOnTerminal(await connection.client.connect(id), undefined, foregroundFrom("shell", args), interrupt);
  },
};

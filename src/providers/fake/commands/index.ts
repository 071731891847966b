import type { CommandFunction } from "../shell/shell.ts";
import { FILE_COMMANDS } from "./files.ts";
import { PROCESS_COMMANDS } from "./process.ts";
import { SERVE_COMMANDS } from "./serve.ts";
import { TEXT_COMMANDS } from "./text.ts";

/** Every command of the fake sandboxes, by name. What is not here answers 127. */
export const COMMANDS: Readonly<Record<string, CommandFunction>> = {
  ...TEXT_COMMANDS,
  ...FILE_COMMANDS,
  ...PROCESS_COMMANDS,
  ...SERVE_COMMANDS,
};

import { fstatSync } from "node:fs";

/**
 * Our standard input for a command, where there is one: a pipe, a file or a socket; a terminal only with `-i`. A
 * terminal, /dev/null and a closed descriptor give the command none.
 */
export function pipedStdin(interactive: boolean): AsyncIterable<Uint8Array> | undefined {
  if (interactive) return process.stdin;
  try {
    const stat = fstatSync(0);
    return stat.isFIFO() || stat.isFile() || stat.isSocket() ? process.stdin : undefined;
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === "EBADF") return undefined;
    throw thrown;
  }
}

import { copyFileSync, fstatSync, ftruncateSync } from "node:fs";
import { inspect } from "node:util";

/** Of the log and of the one before it. */
const MAX_BYTES = 4 * 1024 ** 2;
const STDERR = 2;

/** Writes lines on standard error, with their time. A file there that has grown to 4 MiB is begun anew; what it held is beside it, as `log.1`. */
export function openLog(path: string): (message: string, thrown?: unknown) => void {
  return (message, thrown) => {
    rotate(path);
    const why = thrown === undefined ? "" : `: ${inspect(thrown)}`;
    console.error(`${new Date().toISOString()} ${message}${why}`);
  };
}

/** Emptied in place and not renamed: whoever was started from here writes to the same open file. It is open for appending. */
function rotate(path: string): void {
  const file = fstatSync(STDERR);
  if (!file.isFile() || file.size < MAX_BYTES) return;
  copyFileSync(path, `${path}.1`);
  ftruncateSync(STDERR);
}

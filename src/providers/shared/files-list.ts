import { SandboxerError, pathFromBytes } from "../../contract/index.ts";
import type { FileInfo, Op, Ref } from "../../contract/index.ts";
import { parseFields, splitBytes, toInfo } from "./files-info.ts";
import { ScriptRun, stamp } from "./files-run.ts";
import type { FilesOverExecOptions } from "./files-run.ts";

/**
 * A directory's entries in one exec, sorted by path. A record is `<stamp>fields<stamp>name<stamp>arrow`, so names may
 * hold anything, newlines too, and entries that vanish meanwhile are simply not there.
 */
export async function listOverExec(options: FilesOverExecOptions, ref: Ref, path: string, depth: number, op: Op): Promise<FileInfo[]> {
  const maxEntries = options.maxEntries ?? 100_000;
  const word = stamp();
  const run = new ScriptRun(options, ref, "list", [path, word, String(Math.max(1, Math.min(depth, 1_000_000)))], { kind: "none" }, op);
  const infos: FileInfo[] = [];
  let rest: Buffer = Buffer.alloc(0);
  const take = (pieces: Buffer[]) => {
    for (let i = 1; i + 2 < pieces.length; i += 3) {
      const [fields, name, arrow] = [pieces[i], pieces[i + 1], pieces[i + 2]];
      if (fields === undefined || name === undefined || arrow === undefined) return;
      infos.push(toInfo(parseFields(fields.toString("latin1")), pathFromBytes(name), name, arrow.subarray(0, -1)));
    }
  };
  for (let chunk = await run.next(); chunk !== null; chunk = await run.next()) {
    const pieces = splitBytes(Buffer.concat([rest, chunk]), word);
    // The last record may go on in the next chunk; and its stamp may be cut in two.
    const whole = Math.floor((pieces.length - 2) / 3) * 3;
    if (whole <= 0) {
      rest = Buffer.concat([rest, chunk]);
      continue;
    }
    take(pieces.slice(0, whole + 1));
    rest = Buffer.concat(pieces.slice(whole + 1).flatMap((piece) => [Buffer.from(word), piece]));
    if (infos.length > maxEntries) {
      await run.stop();
      throw new SandboxerError("output_limit", `${path}: more than ${maxEntries} entries`, {
        phase: "files",
        hint: "List with a smaller depth, or run find in the sandbox.",
      });
    }
  }
  take(splitBytes(rest, word));
  return infos.sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
}

import { SandboxerError } from "../../contract/index.ts";
import type { FileInfo, Op, Ref } from "../../contract/index.ts";
import { parseFields } from "./files-info.ts";
import { ScriptRun } from "./files-run.ts";
import type { FilesOverExecOptions } from "./files-run.ts";

/**
 * Opens a file and streams it. The size in `info` is that of the opened file. Whoever stops reading kills what sends; a
 * body that is never read keeps its exec until the signal aborts.
 */
export async function readOverExec(
  options: FilesOverExecOptions,
  ref: Ref,
  path: string,
  range: { offset?: number; length?: number },
  op: Op,
): Promise<{ info: FileInfo; body: AsyncIterable<Uint8Array> }> {
  const words = [path, String(range.offset ?? 0), range.length === undefined ? "" : String(range.length)] as const;
  const run = new ScriptRun(options, ref, "read", words, { kind: "none" }, op);
  let head: Buffer = Buffer.alloc(0);
  while (!head.includes(10)) {
    const chunk = await run.next();
    if (chunk === null || head.length > 4096)
      throw new SandboxerError("backend_unavailable", `${path}: the sandbox answered without a header`, { phase: "files" });
    head = Buffer.concat([head, chunk]);
  }
  const newline = head.indexOf(10);
  const { info } = parseFields(head.subarray(0, newline).toString("latin1"));
  if (info.type !== "file") {
    await run.stop();
    throw new SandboxerError("file_conflict", `${path}: it is no regular file, but a ${info.type}`, { phase: "files" });
  }
  return {
    info: { ...info, path, name: path.slice(path.lastIndexOf("/") + 1), target: null },
    body: bodyOf(run, head.subarray(newline + 1)),
  };
}

async function* bodyOf(run: ScriptRun, first: Uint8Array): AsyncGenerator<Uint8Array> {
  let over = false;
  try {
    if (first.length > 0) yield first;
    for (let chunk = await run.next(); chunk !== null; chunk = await run.next()) yield chunk;
    over = true;
  } finally {
    if (!over) await run.stop();
  }
}

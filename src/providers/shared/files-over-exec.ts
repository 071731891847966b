import { SandboxerError, pathToBytes } from "../../contract/index.ts";
import type { FileInfo, Files, Op, Ref } from "../../contract/index.ts";
import { parseFields, toInfo } from "./files-info.ts";
import { listOverExec } from "./files-list.ts";
import { readOverExec } from "./files-read.ts";
import { ScriptRun, runScript } from "./files-run.ts";
import type { FilesOverExecOptions } from "./files-run.ts";
import { absolutePath, encodePath } from "./files-script.ts";
import { withoutDevices } from "./tar-devices.ts";
import { Upload } from "./upload.ts";
import { watchOverExec } from "./files-watch.ts";
import { writeOverExec } from "./files-write.ts";

export type { FilesOverExecOptions } from "./files-run.ts";

/**
 * The `Files` group over any provider's exec. Every operation is one exec of a fixed script; paths are data, never shell
 * text. Errors: `file_not_found`, `file_denied`, `file_conflict`, `quota_exceeded` (its disk is full), `timeout` where
 * nothing happens inside, and whatever exec throws. Declare `fs.rw`, `fs.tree` and `fs.stream` native or emulated as it
 * fits, `fs.watch` as emulated.
 */
export function filesOverExec(options: FilesOverExecOptions): Files {
  const at = (path: string) => absolutePath(path, options.workdir);
  const quiet = async (
    ref: Ref,
    script: Parameters<typeof runScript>[2],
    words: Parameters<typeof runScript>[3],
    op: Op,
  ): Promise<void> => {
    await runScript(options, ref, script, words, op);
  };
  return {
    read: (ref, path, range, op) => readOverExec(options, ref, at(path), range, op),
    write: (ref, path, body, { mode }, op) => writeOverExec(options, ref, at(path), body, mode, op),
    list: (ref, path, { depth }, op) => listOverExec(options, ref, at(path), depth, op),
    stat: (ref, path, op) => statOverExec(options, ref, at(path), op),
    mkdir: (ref, path, { parents, mode }, op) =>
      quiet(ref, "mkdir", [at(path), parents ? "-p" : "", mode === undefined ? "" : mode.toString(8)], op),
    rename: (ref, from, to, { replace }, op) => quiet(ref, "rename", [at(from), encodePath(at(to)), replace ? "replace" : ""], op),
    remove: (ref, path, { recursive }, op) => quiet(ref, "remove", [at(path), recursive ? "recursive" : ""], op),
    chmod: (ref, path, mode, op) => quiet(ref, "chmod", [at(path), mode.toString(8)], op),
    watch: (ref, path, how, op) => watchOverExec(options, ref, at(path), how, op),
    exportTree: (ref, path, op) => exportOverExec(options, ref, at(path), op),
    importTree: (ref, path, tar, op) => importOverExec(options, ref, at(path), tar, op),
  };
}

async function statOverExec(options: FilesOverExecOptions, ref: Ref, path: string, op: Op): Promise<FileInfo> {
  const answer = await runScript(options, ref, "stat", [path], op);
  const name = Buffer.from(pathToBytes(path));
  // The fields hold no slash, and the absolute path that follows them starts with one.
  const slash = answer.indexOf("/");
  return toInfo(parseFields(answer.subarray(0, slash).toString("latin1")), path, name, answer.subarray(slash + name.length, -1));
}

async function* exportOverExec(options: FilesOverExecOptions, ref: Ref, path: string, op: Op): AsyncGenerator<Uint8Array> {
  const run = new ScriptRun(options, ref, "exportTree", [path], { kind: "none" }, op);
  let over = false;
  try {
    for (let chunk = await run.next(); chunk !== null; chunk = await run.next()) yield chunk;
    over = true;
  } finally {
    if (!over) await run.stop();
  }
}

async function importOverExec(
  options: FilesOverExecOptions,
  ref: Ref,
  path: string,
  tar: AsyncIterable<Uint8Array>,
  op: Op,
): Promise<void> {
  const upload = new Upload(withoutDevices(tar));
  const run = new ScriptRun(
    { ...options, stallMs: 2 ** 31 - 1 },
    ref,
    "importTree",
    [path],
    { kind: "pipe", stream: upload.stream() },
    { ...op, signal: AbortSignal.any([op.signal, upload.broken]) },
  );
  try {
    await run.text();
  } catch (thrown) {
    const error = SandboxerError.from(upload.failure ?? thrown, { phase: "files" });
    if (error.code !== "backend_rejected") throw error;
    throw new SandboxerError("invalid_request", `${error.message} (is it an uncompressed tar?)`, { phase: "files", cause: thrown });
  }
}

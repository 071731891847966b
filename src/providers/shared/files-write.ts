import { SandboxerError } from "../../contract/index.ts";
import type { FileInfo, Op, Ref } from "../../contract/index.ts";
import { parseFields } from "./files-info.ts";
import { ScriptRun, runScript, stamp } from "./files-run.ts";
import type { FilesOverExecOptions } from "./files-run.ts";
import { Upload } from "./upload.ts";

/**
 * Streams a body into a temporary file beside the target and renames it: all or nothing. As much as the pipe takes is
 * in flight. What a broken upload left is removed by a second exec.
 */
export async function writeOverExec(
  options: FilesOverExecOptions,
  ref: Ref,
  path: string,
  body: AsyncIterable<Uint8Array>,
  mode: number | undefined,
  op: Op,
): Promise<FileInfo> {
  const mark = stamp();
  const temporary = `.upload-${mark.slice(0, 16)}`;
  const upload = new Upload(body, Buffer.from(mark));
  try {
    const run = new ScriptRun(
      { ...options, stallMs: 2 ** 31 - 1 },
      ref,
      "write",
      [path, temporary, mark, mode === undefined ? "" : mode.toString(8)],
      { kind: "pipe", stream: upload.stream() },
      { ...op, signal: AbortSignal.any([op.signal, upload.broken]) },
    );
    const { info } = parseFields((await run.text()).toString("latin1").trim());
    return { ...info, path, name: path.slice(path.lastIndexOf("/") + 1), target: null };
  } catch (thrown) {
    if (upload.failure === undefined && !op.signal.aborted) throw thrown;
    await discard(options, ref, path, temporary, op);
    throw SandboxerError.from(upload.failure ?? thrown, { phase: "files" });
  }
}

async function discard(options: FilesOverExecOptions, ref: Ref, path: string, temporary: string, op: Op): Promise<void> {
  try {
    await runScript(options, ref, "discard", [path, temporary], { ...op, signal: AbortSignal.timeout(10_000) });
  } catch (thrown) {
    // The upload's own failure is what the caller must hear; a sandbox that is gone took its temporary file along.
    op.log.warn({ path, temporary, error: String(thrown) }, "a temporary file of a broken upload may be left in the sandbox");
  }
}

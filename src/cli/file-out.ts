import { constants } from "node:fs";
import { open, rename, unlink } from "node:fs/promises";
import { SandboxerError } from "../contract/errors.ts";
import { write } from "../sync/tar/drain.ts";

/**
 * Writes one file whole or not at all: beside its place, then renamed. A symlink in its place is replaced, not
 * followed. Throws `output_limit` beyond the limit.
 */
export async function copyFileOut(source: AsyncIterable<Uint8Array>, place: string, maxBytes: number): Promise<void> {
  const temporary = `${place}.sand-boxer-${crypto.randomUUID().slice(0, 8)}`;
  try {
    await using handle = await open(temporary, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, 0o644);
    let size = 0;
    for await (const chunk of source) {
      size += chunk.length;
      if (size > maxBytes)
        throw new SandboxerError("output_limit", `the file is larger than ${maxBytes} bytes`, {
          phase: "copy",
          hint: "Raise the limit with --max-size.",
        });
      await write(handle, chunk);
    }
    await rename(temporary, place);
  } catch (thrown) {
    await unlink(temporary).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "ENOENT" && error.code !== "ENOTDIR") throw error;
    });
    if (thrown instanceof SandboxerError || !(thrown instanceof Error) || !("code" in thrown)) throw thrown;
    throw new SandboxerError("file_conflict", `cannot write ${place} (${String(thrown.code)})`, {
      phase: "copy",
      hint: "Check that its directory exists and can be written.",
      cause: thrown,
    });
  }
}

import type { FileHandle } from "node:fs/promises";

/** Writes all of it: one call may take less. */
export async function write(handle: FileHandle, data: Uint8Array): Promise<void> {
  for (let done = 0; done < data.length;) done += (await handle.write(data, done)).bytesWritten;
}

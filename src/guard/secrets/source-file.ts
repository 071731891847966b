import { constants } from "node:fs";
import { open, realpath } from "node:fs/promises";
import { MAX_SECRET_BYTES } from "../../contract/index.ts";
import { type Allowed, denied, isWithin } from "./source-policy.ts";
import { unusable, valueOf } from "./value.ts";

/** Room for a value and its line end; one more byte says that there is more. */
const MAX_BYTES = MAX_SECRET_BYTES + 3;

/**
 * Reads a secret's file. Links are resolved before the list is asked, and the list is asked again about what was opened, so a
 * path that changes in between gains nothing. Devices and pipes are not opened.
 *
 * @throws SandboxerError `policy_denied` where the path leads out of what is listed, `secret_unavailable` where it cannot be read.
 */
export async function readFileSource(path: string, allowed: Allowed, field: string): Promise<string> {
  const what = `the file ${path}`;
  const admit = async (resolved: string): Promise<void> => {
    if (allowed === "anything") return;
    const roots = await Promise.all((allowed.files ?? []).map((root) => realpath(root).catch(() => null)));
    if (!roots.some((root) => root !== null && isWithin(resolved, root)))
      throw denied(field, `the server's file "${path}" leads out of what secrets.files of sand-boxer.yaml lists`);
  };
  const attempt = async <T>(work: Promise<T>): Promise<T> => {
    try {
      return await work;
    } catch (thrown) {
      throw unusable(what, `cannot be read (${(thrown as NodeJS.ErrnoException).code ?? "unknown"})`);
    }
  };
  const resolved = await attempt(realpath(path));
  await admit(resolved);
  const file = await attempt(open(resolved, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK | constants.O_NOCTTY));
  try {
    if (!(await file.stat()).isFile()) throw unusable(what, "is not a file");
    if (allowed !== "anything") await admit(await attempt(realpath(`/proc/self/fd/${file.fd}`)));
    const buffer = Buffer.alloc(MAX_BYTES);
    let length = 0;
    for (let read = 1; read > 0 && length < MAX_BYTES; length += read)
      read = (await attempt(file.read(buffer, length, MAX_BYTES - length))).bytesRead;
    return valueOf(buffer.subarray(0, length), what);
  } finally {
    await file.close();
  }
}

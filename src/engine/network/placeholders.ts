import { type Ref, SandboxerError } from "../../contract/index.ts";
import type { SandboxRow } from "../../ledger/index.ts";
import { type Context, op, providerOf } from "../context.ts";
import type { ResolvedSecrets } from "../secret-binding.ts";

const OWNER_ONLY = 0o600;

async function* bytesOf(text: string): AsyncIterable<Uint8Array> {
  yield new TextEncoder().encode(text);
}

/**
 * Writes placeholders where the profile wants them as files, before any setup command runs. Variables are in the sandbox's
 * environment already.
 *
 * @throws SandboxerError `capability_unsupported` where the backend writes no files, or what the write answers.
 */
export async function writePlaceholders(
  ctx: Context,
  row: SandboxRow,
  ref: Ref,
  { expose }: ResolvedSecrets,
  signal: AbortSignal,
): Promise<void> {
  if (expose.files.length === 0) return;
  const { files } = providerOf(ctx, row.backend);
  if (files === undefined)
    throw new SandboxerError("capability_unsupported", `secrets: expose.file needs fs.rw, which backend ${row.backend} does not have`, {
      phase: "create",
      backend: row.backend,
    });
  for (const { path, text } of expose.files) await files.write(ref, path, bytesOf(text), { mode: OWNER_ONLY }, op(ctx, signal));
}

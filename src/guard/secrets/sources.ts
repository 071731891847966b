import type { SecretSource } from "../../contract/index.ts";
import { readCommandSource } from "./source-command.ts";
import { readFileSource } from "./source-file.ts";
import { type Allowed, admitSource } from "./source-policy.ts";
import { unusable, usable } from "./value.ts";

/** A source that this host has; what the store has is the engine's to read. */
export type HostSource = Exclude<SecretSource, { vault: string }>;

/**
 * Reads a secret's value on this host, where that is allowed. `field` is the source's path in the profile.
 *
 * @throws SandboxerError `policy_denied` where it is not allowed, `secret_unavailable` where there is no usable value.
 */
export async function readSource(source: HostSource, allowed: Allowed, field: string, signal: AbortSignal): Promise<string> {
  admitSource(source, allowed, field);
  if ("file" in source) return readFileSource(source.file, allowed, field);
  if ("command" in source) return readCommandSource(source.command, signal);
  const what = `the server's variable "${source.env}"`;
  const value = process.env[source.env];
  if (value === undefined) throw unusable(what, "is not set");
  return usable(value, what);
}

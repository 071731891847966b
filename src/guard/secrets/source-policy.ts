import { normalize } from "node:path";
import { type Config, SandboxerError, type SecretSource } from "../../contract/index.ts";
import { KEY_VARIABLE } from "./key.ts";

/** What of this host a source may read: all of it, for the operator's own profiles; else what the configuration lists. */
export type Allowed = "anything" | NonNullable<Config["secrets"]>;

/**
 * Refuses a source by what it says, before anything is touched: who may not read a file learns nothing of whether it exists.
 *
 * @throws SandboxerError `policy_denied` naming the field and the list that would allow it.
 */
export function admitSource(source: SecretSource, allowed: Allowed, field: string): void {
  if ("env" in source) {
    if (source.env === KEY_VARIABLE) throw denied(field, `${KEY_VARIABLE} is the key of all secrets, and never one itself`);
    if (allowed === "anything" || allowed.env?.includes(source.env) === true) return;
    throw denied(field, `the server's variable "${source.env}" is not listed in secrets.env of sand-boxer.yaml`);
  }
  if ("file" in source) {
    if (allowed === "anything" || (allowed.files ?? []).some((root) => isWithin(normalize(source.file), normalize(root)))) return;
    throw denied(field, `the server's file "${source.file}" is not listed in secrets.files of sand-boxer.yaml`);
  }
  if ("command" in source) {
    const { command } = source;
    if (allowed === "anything" || (allowed.commands ?? []).some((prefix) => startsWith(command, prefix))) return;
    throw denied(field, `the command "${command[0] ?? ""}" as it is given is not listed in secrets.commands of sand-boxer.yaml`);
  }
}

/** Whether an absolute path is the root or stands below it; both normalized. */
export function isWithin(path: string, root: string): boolean {
  const directory = root.endsWith("/") ? root : `${root}/`;
  return path === root || path === root.replace(/\/$/, "") || path.startsWith(directory);
}

function startsWith(argv: readonly string[], prefix: readonly string[]): boolean {
  return prefix.length > 0 && prefix.every((word, index) => argv[index] === word);
}

/** The refusal of a source that only the operator may use. */
export function denied(field: string, why: string): SandboxerError {
  return new SandboxerError("policy_denied", `${field}: ${why}`, {
    phase: "secret",
    issues: [{ path: field, message: why }],
    hint: "Ask the operator to list it, or store the value with 'sand-boxer secrets set NAME' and take it from there: source: { vault: NAME }.",
  });
}

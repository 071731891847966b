import { SandboxerError } from "../../../contract/index.ts";

/** The names that the sandbox's one user goes by: E2B's, and its own. */
const NAMES = new Set(["", "user", "sandbox"]);

/**
 * Everything runs as the sandbox's own user; any other name is refused, as E2B's agent refuses one that is not there.
 *
 * @throws SandboxerError `unauthorized`.
 */
export function checkUser(name: string): void {
  if (NAMES.has(name)) return;
  const why = name === "root" ? ": nothing here runs as root" : "";
  throw new SandboxerError("unauthorized", `invalid username: '${name}'${why}`);
}

/** The user that `Authorization: Basic` names; "" where it names none. */
export function basicUser(header: string | null): string {
  const encoded = /^Basic\s+(\S+)$/i.exec(header ?? "")?.[1];
  if (encoded === undefined) return "";
  return Buffer.from(encoded, "base64").toString("utf8").split(":", 1)[0] ?? "";
}

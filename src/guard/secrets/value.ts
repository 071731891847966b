import { SandboxerError, secretFault } from "../../contract/index.ts";

/** A file, a command's output or a body as a value: UTF-8 without the one line end that editors and `echo` put there. */
export function valueOf(bytes: Buffer, what: string): string {
  const text = bytes.toString("utf8");
  if (!Buffer.from(text).equals(bytes)) throw unusable(what, "is not UTF-8");
  return usable(text.replace(/\r?\n$/, ""), what);
}

/** @throws SandboxerError `secret_unavailable` where the text cannot be a value. */
export function usable(text: string, what: string): string {
  const fault = secretFault(text);
  if (fault !== null) throw unusable(what, fault);
  return text;
}

/** The error of a source that gives no value. Says what stood in the way, and nothing of what was read. */
export function unusable(what: string, why: string): SandboxerError {
  return new SandboxerError("secret_unavailable", `${what} ${why}`, { phase: "secret" });
}

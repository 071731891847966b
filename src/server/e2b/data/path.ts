import { posix } from "node:path";
import { SandboxerError } from "../../../contract/index.ts";

/** A path of the wire as an absolute one without `.`, `..` and a slash at the end: relative ones and `~` start at the home. */
export function absolute(path: string, home: string): string {
  if (path.includes("\0")) throw new SandboxerError("invalid_request", "path: must not contain a NUL byte");
  if (path.startsWith("~") && path !== "~" && !path.startsWith("~/"))
    throw new SandboxerError("invalid_request", `path: "${path}": only "~" and "~/..." are known, not another user's home`);
  const whole = path.startsWith("~") ? home + path.slice(1) : posix.isAbsolute(path) ? path : `${home}/${path}`;
  const clean = posix.normalize(whole);
  return clean.length > 1 ? clean.replace(/\/$/, "") : clean;
}

import { type Command, SandboxerError } from "../../contract/index.ts";
import type { Host } from "./host.ts";
import { isAlive } from "./process-tree.ts";
import type { SandboxRecord } from "./record.ts";
import { lastWords } from "./runtime.ts";

/** Why the runtime ended without having started a command; `log` is its own. */
export function notStarted(
  host: Host,
  { init }: SandboxRecord,
  { cwd }: Command,
  { log, phase }: { log: string; phase: string },
): SandboxerError {
  const words = lastWords(log);
  if (init === undefined || !isAlive(init))
    return new SandboxerError("sandbox_not_found", `the sandbox ended before the command started: ${words}`, { phase });
  if (cwd !== undefined && /chdir|cwd|working directory/i.test(words)) {
    return new SandboxerError("invalid_request", `the working directory "${cwd}" cannot be entered`, {
      phase,
      issues: [{ path: "cwd", message: words }],
    });
  }
  return new SandboxerError("backend_unavailable", `the runtime could not start the command: ${words}`, { phase, backend: host.backend });
}

/** Whether another try may go well: the sandbox lives, and nothing in the command stands against it. */
export function isOfTheMoment({ code }: SandboxerError): boolean {
  return code === "backend_unavailable";
}

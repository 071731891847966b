import { SandboxerError } from "../contract/errors.ts";
import { paint } from "./style.ts";

/** The exit code of every failure of our own, so that it is never taken for the command's. */
export const OWN_FAILURE = 125;

/** A wrong command line. */
export function usageError(command: string, message: string): SandboxerError {
  return new SandboxerError("invalid_request", message, {
    phase: "usage",
    hint: `See 'sand-boxer help${command === "" ? "" : ` ${command}`}'.`,
  });
}

/** Says what went wrong and what to do next, on standard error. */
export function report(thrown: unknown, json: boolean): void {
  const error = SandboxerError.from(thrown);
  if (json) {
    process.stderr.write(`${JSON.stringify({ error: error.toWire(error.requestId) })}\n`);
    return;
  }
  const { backend, issues = [], request_id: requestId, phase } = error.details;
  const lines = [`${paint(process.stderr, "red", `error[${error.code}]`)}: ${error.message}`];
  for (const { path, message, nearest } of issues) {
    const text = `  ${path === "" ? "(whole request)" : path}: ${message}${nearest === undefined ? "" : ` (nearest: ${nearest})`}`;
    if (!error.message.includes(message)) lines.push(text);
  }
  if (backend !== undefined) lines.push(`  at backend ${backend}${phase === undefined ? "" : `, while it did: ${phase}`}`);
  lines.push(`next: ${error.hint}`);
  if (error.code === "internal" && requestId !== undefined) lines.push(`  request id: ${requestId}`);
  if (process.env["SANDBOXER_DEBUG"] === "1")
    lines.push(String(error.stack), ...(error.cause === undefined ? [] : [`cause: ${causeOf(error.cause)}`]));
  process.stderr.write(`${lines.join("\n")}\n`);
}

function causeOf(cause: unknown): string {
  return cause instanceof Error ? (cause.stack ?? cause.message) : JSON.stringify(cause);
}

import { isUtf8 } from "node:buffer";
import { z } from "zod";
import { parse, ExecRequest, ExecResult, ExecStreamEvent, SandboxerError, type ExecEvent, type Stdin } from "../../contract/index.ts";
import type { ExecInput } from "../../engine/engine.ts";
import { bodyStream } from "../body.ts";
import type { Call } from "../call.ts";
import { parseJson } from "../document.ts";
import { JSON_OUTPUT_BYTES, MAX_JSON_OUTPUT_BYTES, STREAM_OUTPUT_BYTES } from "../limits.ts";
import { json } from "../reply.ts";
import { defineRoute, type Route } from "../route.ts";
import { events, type ServerEvent } from "../sse.ts";

const ExecQuery = z.strictObject({
  command: z.string().optional().meta({
    description: "Only with a body of bytes, which is standard input then: the ExecRequest as URL-encoded JSON, without `stdin`.",
  }),
});

type Request = z.output<typeof ExecRequest>;

/** Runs a command to its end: one JSON answer, or events as they happen. */
export const execRoute: Route = defineRoute(
  {
    method: "post",
    path: "/v1/sandboxes/{id}/exec",
    operation: "exec",
    tag: "Exec",
    summary: "Run a command to its end",
    description:
      "A non-zero exit code is a result, not an error. With `Accept: text/event-stream` the answer is events: `started`, `stdout`, `stderr`, and as the last one `exited` or `error`. " +
      "With a body of type application/octet-stream the body is streamed standard input, the command is the parameter `command`, and the answer is events that flow while the body is still being sent. " +
      "A client that goes away ends the command's whole process tree.",
    scope: "write",
    query: ExecQuery,
    body: ExecRequest,
    bodyKind: { kind: "document-or-bytes", types: ["application/json"], byteTypes: ["application/octet-stream"] },
    exampleBody: { argv: ["python3", "-c", "print(6 * 7)"], timeout: "30s" },
    answers: {
      200: {
        description: "How it ended and what it wrote; or the stream of its events.",
        content: { "application/json": ExecResult, "text/event-stream": ExecStreamEvent },
      },
    },
    errors: [
      "sandbox_not_found",
      "wrong_state",
      "capability_unsupported",
      "backend_unavailable",
      "output_limit",
      "outcome_unknown",
      "request_timeout",
    ],
  },
  async (call) => {
    // Undefined where the body is bytes: see BodyKind.
    const request: Request | undefined = call.body;
    if (request === undefined) return stream(call, commandFromQuery(call.query.command), { kind: "pipe", stream: stdinBody(call) });
    if (call.query.command !== undefined) throw invalid("command", "is only for a body of type application/octet-stream");
    return call.accepts("text/event-stream") ? stream(call, request, stdinOf(request)) : collect(call, request);
  },
);

function commandFromQuery(text: string | undefined): Request {
  if (text === undefined) throw invalid("command", "is needed with a body of type application/octet-stream");
  const request = parse(ExecRequest, parseJson(text, 'query parameter "command"'), { what: "command" });
  if (request.stdin !== undefined) throw invalid("command.stdin", "cannot be given beside a body that is standard input");
  return request;
}

function stdinBody(call: Call): AsyncIterable<Uint8Array> {
  return bodyStream(call.context, { maxBytes: Number.MAX_SAFE_INTEGER, idleMs: undefined });
}

function stdinOf({ stdin }: Request): Stdin {
  if (stdin === undefined) return { kind: "none" };
  return { kind: "bytes", bytes: "text" in stdin ? Buffer.from(stdin.text) : Buffer.from(stdin.base64, "base64") };
}

function inputOf({ argv, shell, cwd, env, user, timeout, max_output_bytes }: Request, stdin: Stdin, defaultOutputBytes: number): ExecInput {
  return {
    ...(argv === undefined ? {} : { argv }),
    ...(shell === undefined ? {} : { shell }),
    ...(cwd === undefined ? {} : { cwd }),
    ...(env === undefined ? {} : { env }),
    ...(user === undefined ? {} : { user }),
    ...(timeout === undefined ? {} : { timeout }),
    stdin,
    maxOutputBytes: max_output_bytes ?? defaultOutputBytes,
  };
}

async function collect(call: Call, request: Request): Promise<Response> {
  if ((request.max_output_bytes ?? 0) > MAX_JSON_OUTPUT_BYTES) {
    const issues = [{ path: "max_output_bytes", message: `must be at most ${MAX_JSON_OUTPUT_BYTES} in a JSON answer` }];
    throw new SandboxerError("output_limit", "that much output is not put into one JSON answer", { issues });
  }
  const startedAt = performance.now();
  const { execId, events } = await call.engine.exec(call.who, call.id, inputOf(request, stdinOf(request), JSON_OUTPUT_BYTES), call.signal);
  const output: Record<"stdout" | "stderr", Uint8Array[]> = { stdout: [], stderr: [] };
  let end: Extract<ExecEvent, { type: "exited" }> | undefined;
  for await (const event of events) {
    if (event.type === "stdout" || event.type === "stderr") output[event.type].push(event.data);
    else if (event.type === "exited") end = event;
  }
  if (end === undefined) throw new SandboxerError("outcome_unknown", "the command's end was not seen");
  const stdout = text(output.stdout);
  const stderr = text(output.stderr);
  return json(call, 200, {
    exec_id: execId,
    ...endFields(end),
    stdout: stdout.text,
    stderr: stderr.text,
    encoding: { stdout: stdout.encoding, stderr: stderr.encoding },
    duration_ms: since(startedAt),
  });
}

function text(pieces: readonly Uint8Array[]): { text: string; encoding: "utf8" | "base64" } {
  const whole = Buffer.concat(pieces);
  return isUtf8(whole) ? { text: whole.toString(), encoding: "utf8" } : { text: whole.toString("base64"), encoding: "base64" };
}

async function stream(call: Call, request: Request, stdin: Stdin): Promise<Response> {
  const startedAt = performance.now();
  const { execId, events: source } = await call.engine.exec(call.who, call.id, inputOf(request, stdin, STREAM_OUTPUT_BYTES), call.signal);
  return events(call, serverEvents(source, execId, startedAt), "exited");
}

async function* serverEvents(source: AsyncIterable<ExecEvent>, execId: string, startedAt: number): AsyncGenerator<ServerEvent, void, void> {
  for await (const event of source) {
    switch (event.type) {
      case "started":
        yield { type: "started", data: { type: "started", exec_id: execId } };
        break;
      case "stdout":
      case "stderr":
        yield { type: event.type, data: { type: event.type, data: base64(event.data) } };
        break;
      case "exited":
        yield { type: "exited", data: { type: "exited", ...endFields(event), duration_ms: since(startedAt) } };
        break;
    }
  }
}

/** An end as it stands on the wire. */
export function endFields(end: {
  outcome: string;
  exitCode: number | null;
  signal: string | null;
  oomKilled: boolean;
  truncated: boolean;
}) {
  return { outcome: end.outcome, exit_code: end.exitCode, signal: end.signal, oom_killed: end.oomKilled, truncated: end.truncated };
}

export function base64(data: Uint8Array): string {
  return Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("base64");
}

function since(startedAt: number): number {
  return Math.round((performance.now() - startedAt) * 1000) / 1000;
}

function invalid(path: string, message: string): SandboxerError {
  return new SandboxerError("invalid_request", `query parameter "${path}" ${message}`, { issues: [{ path, message }] });
}

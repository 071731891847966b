import { z } from "zod";
import { Duration, OutputEvent, ProcessInfo, ProcessRequest, PtySize, type OutputChunk } from "../../contract/index.ts";
import { bodyStream } from "../body.ts";
import { empty, json } from "../reply.ts";
import { defineRoute, type Route } from "../route.ts";
import { flag, integer, ProcessList, SignalRequest } from "../schemas.ts";
import { events, type ServerEvent } from "../sse.ts";
import { base64, endFields } from "./exec.ts";

const tag = "Processes";
const base = "/v1/sandboxes/{id}/processes";
const one = `${base}/{pid}`;
const errors = ["sandbox_not_found", "process_not_found", "wrong_state", "backend_unavailable"] as const;
const info = (description: string) => ({ description, content: { "application/json": ProcessInfo } });

const MAX_WAIT_SECONDS = 300;
const WaitQuery = z.strictObject({
  timeout: z
    .string()
    .transform((text) => (/^\d+(\.\d+)?$/.test(text) ? Number(text) : text))
    .pipe(Duration.refine((seconds) => seconds <= MAX_WAIT_SECONDS, `must be at most ${MAX_WAIT_SECONDS} s`))
    .optional()
    .meta({ type: "string", description: "Seconds, or a duration with a unit; 30 s unless given, at most 300 s." }),
});

const offset = integer({ min: 0, max: Number.MAX_SAFE_INTEGER, description: "Where in the journal to start; 0 unless given." });

/** Background processes: they outlive the call that starts them, and the server. */
export const processRoutes: readonly Route[] = [
  defineRoute(
    {
      method: "post",
      path: base,
      operation: "startProcess",
      tag,
      summary: "Start a background process",
      scope: "write",
      body: ProcessRequest,
      exampleBody: { shell: "python3 -m http.server 8000", stdin: "none" },
      answers: { 201: info("The process, running.") },
      errors: ["sandbox_not_found", "wrong_state", "capability_unsupported", "backend_unavailable"],
    },
    async (call) => json(call, 201, await call.engine.processes.start(call.who, call.id, call.body)),
  ),
  defineRoute(
    {
      method: "get",
      path: base,
      operation: "listProcesses",
      tag,
      summary: "List the processes of a sandbox, ended ones too",
      scope: "read",
      answers: { 200: { description: "All of them.", content: { "application/json": ProcessList } } },
      errors: ["sandbox_not_found", "wrong_state", "backend_unavailable"],
    },
    async (call) => json(call, 200, { object: "list", data: await call.engine.processes.list(call.who, call.id) }),
  ),
  defineRoute(
    {
      method: "get",
      path: one,
      operation: "getProcess",
      tag,
      summary: "Read a process",
      scope: "read",
      answers: { 200: info("The process.") },
      errors,
    },
    async (call) => json(call, 200, await call.engine.processes.get(call.who, call.id, call.params["pid"] ?? "")),
  ),
  defineRoute(
    {
      method: "get",
      path: `${one}/wait`,
      operation: "waitProcess",
      tag,
      summary: "Wait for a process to end",
      scope: "read",
      kind: "follower",
      query: WaitQuery,
      exampleQuery: "timeout=30",
      answers: { 200: info("The process; it may still be running at the limit.") },
      errors,
    },
    async (call) =>
      json(call, 200, await call.engine.processes.wait(call.who, call.id, call.params["pid"] ?? "", call.query.timeout ?? 30, call.signal)),
  ),
  defineRoute(
    {
      method: "get",
      path: `${one}/output`,
      operation: "readProcessOutput",
      tag,
      summary: "Read a process's output from an offset, and follow it",
      scope: "read",
      kind: "follower",
      query: z.strictObject({ offset, follow: flag("Go on until the process ends; the last event is `ended` then.") }),
      exampleQuery: "offset=0&follow=true",
      answers: {
        200: { description: "Events `stdout` and `stderr`, then `ended` if it has ended.", content: { "text/event-stream": OutputEvent } },
      },
      errors,
    },
    async (call) => {
      const { offset = 0, follow } = call.query;
      const chunks = await call.engine.processes.output(call.who, call.id, call.params["pid"] ?? "", { offset, follow }, call.signal);
      return events(call, outputEvents(chunks), follow ? "ended" : undefined);
    },
  ),
  defineRoute(
    {
      method: "post",
      path: `${one}/signal`,
      operation: "signalProcess",
      tag,
      summary: "Send a signal to a process's whole tree",
      scope: "write",
      body: SignalRequest,
      exampleBody: { signal: "SIGTERM" },
      answers: { 204: { description: "Sent." } },
      errors,
    },
    async (call) => {
      await call.engine.processes.signal(call.who, call.id, call.params["pid"] ?? "", call.body.signal);
      return empty(call);
    },
  ),
  defineRoute(
    {
      method: "post",
      path: `${one}/stdin`,
      operation: "writeProcessStdin",
      tag,
      summary: "Write to a process's standard input",
      scope: "write",
      bodyKind: { kind: "bytes", types: ["application/octet-stream"] },
      answers: { 204: { description: "All of it was written." } },
      errors: [...errors, "body_too_large", "request_timeout"],
    },
    async (call) => {
      const { maxUploadBytes, uploadIdleMs } = call.service.limits;
      for await (const piece of bodyStream(call.context, { maxBytes: maxUploadBytes, idleMs: uploadIdleMs })) {
        await call.engine.processes.write(call.who, call.id, call.params["pid"] ?? "", piece);
      }
      return empty(call);
    },
  ),
  defineRoute(
    {
      method: "delete",
      path: `${one}/stdin`,
      operation: "closeProcessStdin",
      tag,
      summary: "Close a process's standard input",
      scope: "write",
      answers: { 204: { description: "Closed: the process reads end of file." } },
      errors,
    },
    async (call) => {
      await call.engine.processes.closeStdin(call.who, call.id, call.params["pid"] ?? "");
      return empty(call);
    },
  ),
  defineRoute(
    {
      method: "post",
      path: `${one}/resize`,
      operation: "resizeProcess",
      tag,
      summary: "Set the size of a process's terminal",
      scope: "write",
      body: PtySize,
      exampleBody: { cols: 120, rows: 40 },
      answers: { 204: { description: "Set." } },
      errors,
    },
    async (call) => {
      await call.engine.processes.resize(call.who, call.id, call.params["pid"] ?? "", call.body);
      return empty(call);
    },
  ),
];

async function* outputEvents(chunks: AsyncIterable<OutputChunk>): AsyncGenerator<ServerEvent, void, void> {
  for await (const chunk of chunks) {
    if (chunk.type === "ended") yield { type: "ended", data: { type: "ended", ...endFields(chunk), offset: chunk.offset } };
    else yield { type: chunk.type, data: { type: chunk.type, data: base64(chunk.data), offset: chunk.offset } };
  }
}

import { z } from "zod";
import { ServiceLogEvent } from "../../contract/index.ts";
import { json } from "../reply.ts";
import { defineRoute, type Route } from "../route.ts";
import { flag, integer, ServiceList } from "../schemas.ts";
import { events, type ServerEvent } from "../sse.ts";
import { base64 } from "./exec.ts";

const tag = "Services";
const errors = ["sandbox_not_found", "wrong_state", "capability_unsupported", "backend_unavailable"] as const;

/** What a profile has run beside a sandbox. */
export const besideRoutes: readonly Route[] = [
  defineRoute(
    {
      method: "get",
      path: "/v1/sandboxes/{id}/services",
      operation: "listServices",
      tag,
      summary: "List the services beside a sandbox, with their health",
      scope: "read",
      answers: { 200: { description: "By name; none where its profile has none.", content: { "application/json": ServiceList } } },
      errors,
    },
    async (call) => json(call, 200, { object: "list", data: await call.engine.services.list(call.who, call.id) }),
  ),
  defineRoute(
    {
      method: "get",
      path: "/v1/sandboxes/{id}/services/{service}/logs",
      operation: "readServiceLogs",
      tag,
      summary: "Read what a service wrote, or follow it",
      scope: "read",
      kind: "follower",
      query: z.strictObject({
        tail: integer({ min: 0, max: 100_000, description: "Lines from the end to begin with; 1000 unless given." }),
        follow: flag("Go on until the service ends."),
      }),
      exampleQuery: "tail=100&follow=true",
      answers: { 200: { description: "Events `stdout` and `stderr`, then `end`.", content: { "text/event-stream": ServiceLogEvent } } },
      errors: [...errors, "not_found"],
    },
    async (call) => {
      const { tail = 1000, follow } = call.query;
      const pieces = await call.engine.services.logs(call.who, call.id, call.params["service"] ?? "", { tail, follow }, call.signal);
      return events(call, logEvents(pieces), "end");
    },
  ),
];

async function* logEvents(pieces: AsyncIterable<{ type: "stdout" | "stderr"; data: Uint8Array }>): AsyncGenerator<ServerEvent, void, void> {
  for await (const { type, data } of pieces) yield { type, data: { type, data: base64(data) } };
  yield { type: "end", data: {} };
}

import { PauseRequest, Sandbox } from "../../contract/index.ts";
import { json } from "../reply.ts";
import { defineRoute, type Route } from "../route.ts";

const tag = "Sandboxes";
const sandboxAnswer = (description: string) => ({ description, content: { "application/json": Sandbox } });

/** Having a sandbox stand still, and run again. */
export const restRoutes: readonly Route[] = [
  defineRoute(
    {
      method: "post",
      path: "/v1/sandboxes/{id}/pause",
      operation: "pauseSandbox",
      tag,
      summary: "Have a sandbox stand still",
      description:
        "paused keeps memory and processes, suspended the disk alone. Answers once the backend has done it; one that stands still that way is answered as it is. Its ttl and max_life go on, its idle clock does not.",
      scope: "write",
      body: PauseRequest,
      exampleBody: { to: "paused" },
      answers: { 200: sandboxAnswer("The sandbox, paused or suspended.") },
      errors: ["sandbox_not_found", "wrong_state", "capability_unsupported", "backend_unavailable", "timeout"],
    },
    async (call) => json(call, 200, await call.engine.pause(call.who, call.id, call.body)),
  ),
  defineRoute(
    {
      method: "post",
      path: "/v1/sandboxes/{id}/resume",
      operation: "resumeSandbox",
      tag,
      summary: "Have a paused or suspended sandbox run again",
      description: "state_lost is true from then on where its state is not the one of before. One that runs is answered as it is.",
      scope: "write",
      answers: { 200: sandboxAnswer("The sandbox, ready.") },
      errors: ["sandbox_not_found", "wrong_state", "backend_unavailable", "timeout"],
    },
    async (call) => json(call, 200, await call.engine.resume(call.who, call.id)),
  ),
];

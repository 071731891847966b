import { SandboxerError } from "../../contract/index.ts";
import { defineRoute, type Route } from "../route.ts";
import { integer } from "../schemas.ts";
import { z } from "zod";

/** Parameters of the WebSocket. */
export const SocketQuery = z.strictObject({
  offset: integer({ min: 0, max: Number.MAX_SAFE_INTEGER, description: "Where in the journal to start; 0 unless given." }),
});

/**
 * The WebSocket of a process, as the reference tells of it. A real upgrade never comes here: the listener hands it to
 * `server/socket-door`; what comes here is a plain GET.
 */
export const socketRoute: Route = defineRoute(
  {
    method: "get",
    path: "/v1/sandboxes/{id}/processes/{pid}/ws",
    operation: "attachProcess",
    tag: "Processes",
    summary: "Attach to a process over a WebSocket",
    description:
      "Server to client: binary frames, whose first byte is 1 for stdout and 2 for stderr; at the end one text frame " +
      '`{"type":"ended",...}` and close 1000. Client to server: binary frames are standard input; text frames are ' +
      '`{"type":"resize","cols":C,"rows":R}`, `{"type":"signal","signal":"SIGINT"}` and `{"type":"close_stdin"}`. ' +
      'Browsers, which cannot set a header, offer the subprotocols "sandboxer" and "sandboxer.key.<key>". ' +
      "A page of another origin is refused unless it sends a key in that way. Leaving only detaches.",
    scope: "write",
    query: SocketQuery,
    exampleQuery: "offset=0",
    answers: { 101: { description: "Switched to the WebSocket protocol." } },
    errors: ["sandbox_not_found", "process_not_found", "wrong_state", "backend_unavailable"],
  },
  () => {
    throw new SandboxerError("invalid_request", "this route is a WebSocket; send 'Upgrade: websocket'", {
      hint: "Connect with a WebSocket client.",
    });
  },
);

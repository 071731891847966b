import { z } from "zod";
import {
  NetworkChange, NetworkCheck, NetworkCheckRequest, NetworkLogPage, NetworkSuggestion, NetworkUpdate, NetworkVerdict, NetworkView,
  type NetworkVerdict as Verdict,
} from "../../contract/index.ts"; // prettier-ignore
import { lastEventId } from "../last-event-id.ts";
import { json } from "../reply.ts";
import { defineRoute, type Route } from "../route.ts";
import { flag, integer } from "../schemas.ts";
import { events, type ServerEvent } from "../sse.ts";

const tag = "Network";

const LogQuery = z.strictObject({
  denied: flag("Only what no rule allowed; with mode audit also what it let out."),
  cursor: integer({ min: 0, max: Number.MAX_SAFE_INTEGER, description: "Only entries after the one with this `seq`." }),
  limit: integer({ min: 1, max: 1000, description: "At most so many; 100 unless given. Not with follow." }),
  follow: flag("Goes on with new ones as server-sent events, until the sandbox has ended. `Accept: text/event-stream` asks the same."),
});

/** What sandboxes may reach, and what the boundary decided. */
export const networkRoutes: readonly Route[] = [
  defineRoute(
    {
      method: "get",
      path: "/v1/sandboxes/{id}/network",
      operation: "getNetwork",
      tag,
      summary: "What a sandbox may reach, and what moved",
      description: "The policy in force with its revision, whether the boundary serves it, and its traffic. Of an ended one as it was.",
      scope: "read",
      answers: { 200: { description: "Its network.", content: { "application/json": NetworkView } } },
      errors: ["sandbox_not_found"],
    },
    async (call) => json(call, 200, await call.engine.network.get(call.who, call.id)),
  ),
  defineRoute(
    {
      method: "patch",
      path: "/v1/sandboxes/{id}/network",
      operation: "updateNetwork",
      tag,
      summary: "Replace what a live sandbox may reach",
      description:
        "All rules and limits anew, within the profile and the operator's floor; what is asked beyond is named in `narrowed`. Connections that are no longer allowed are closed. With `dry_run` nothing changes.",
      scope: "write",
      body: NetworkUpdate,
      exampleBody: { allow: [{ host: "pypi.org" }], dry_run: true },
      answers: { 200: { description: "What changed, or would.", content: { "application/json": NetworkChange } } },
      errors: ["sandbox_not_found", "wrong_state", "capability_unsupported", "backend_unavailable", "storage_unavailable"],
    },
    async (call) => json(call, 200, await call.engine.network.update(call.who, call.id, call.body)),
  ),
  defineRoute(
    {
      method: "get",
      path: "/v1/sandboxes/{id}/network/log",
      operation: "listNetworkLog",
      tag,
      summary: "Read what was allowed and denied, or follow it",
      description: "Oldest first. The newest 10000 entries of a sandbox are kept, at most a week.",
      scope: "read",
      kind: "follower",
      query: LogQuery,
      headers: { "Last-Event-ID": "`seq` of the last entry seen; counts over `cursor`." },
      exampleQuery: "denied=true&limit=100",
      answers: {
        200: {
          description: "A page in the order of `seq`; or a stream.",
          content: { "application/json": NetworkLogPage, "text/event-stream": NetworkVerdict },
        },
      },
      errors: ["sandbox_not_found"],
    },
    async (call) => {
      const { denied, cursor, limit = 100, follow } = call.query;
      const { network } = call.engine;
      if (!follow && !call.accepts("text/event-stream"))
        return json(call, 200, await network.log(call.who, call.id, { denied, limit, ...(cursor === undefined ? {} : { after: cursor }) }));
      // Answers an unknown sandbox before the stream begins.
      await call.engine.get(call.who, call.id);
      const after = lastEventId(call) ?? cursor;
      return events(
        call,
        entries(network.followLog(call.who, call.id, { denied, ...(after === undefined ? {} : { after }) }, call.signal)),
        "end",
      );
    },
  ),
  defineRoute(
    {
      method: "get",
      path: "/v1/sandboxes/{id}/network/suggest",
      operation: "suggestNetwork",
      tag,
      summary: "Rules that would allow what was denied, for review",
      description: "Made from the network log. They say what was tried, not what is right: a person decides.",
      scope: "read",
      answers: { 200: { description: "Rules, as JSON and as YAML.", content: { "application/json": NetworkSuggestion } } },
      errors: ["sandbox_not_found"],
    },
    async (call) => json(call, 200, await call.engine.network.suggest(call.who, call.id)),
  ),
  defineRoute(
    {
      method: "post",
      path: "/v1/network/check",
      operation: "checkNetwork",
      tag,
      summary: "What a profile says to an address, without creating",
      scope: "read",
      body: NetworkCheckRequest,
      exampleBody: { profile: "python", url: "https://api.example.com/v1/items" },
      answers: { 200: { description: "The verdict, and what would be needed.", content: { "application/json": NetworkCheck } } },
      errors: ["profile_not_found"],
    },
    async (call) => json(call, 200, await call.engine.network.check(call.who, call.body)),
  ),
];

/** Ends with `end` where the sandbox has: a stream without it was cut off. */
async function* entries(source: AsyncIterable<Verdict>): AsyncGenerator<ServerEvent, void, void> {
  for await (const entry of source) yield { type: `network.${NAMES[entry.verdict]}`, id: entry.seq, data: entry };
  yield { type: "end", data: {} };
}

const NAMES = { allow: "allowed", deny: "denied", audit: "audited" } as const;

import { z } from "zod";
import { EventPage, isId, LedgerEvent, type LedgerEvent as LedgerEventType } from "../../contract/index.ts";
import { lastEventId } from "../last-event-id.ts";
import { json } from "../reply.ts";
import { defineRoute, type Route } from "../route.ts";
import { integer } from "../schemas.ts";
import { events, type ServerEvent } from "../sse.ts";

const seq = integer({ min: 0, max: Number.MAX_SAFE_INTEGER, description: "Only events after the one with this `seq`." });
const EventQuery = z.strictObject({
  sandbox_id: z
    .string()
    .refine((text) => isId("sandbox", text), "is not the id of a sandbox")
    .optional(),
  after: seq,
  limit: integer({ min: 1, max: 1000, description: "At most so many; 100 unless given." }),
});

/** The ledger's events. */
export const eventRoutes: readonly Route[] = [
  defineRoute(
    {
      method: "get",
      path: "/v1/events",
      operation: "listEvents",
      tag: "Events",
      summary: "Read the ledger, or follow it",
      description: "With `Accept: text/event-stream` it follows the ledger: `id` is the event's `seq`, and Last-Event-ID goes on after it.",
      scope: "read",
      kind: "follower",
      query: EventQuery,
      headers: { "Last-Event-ID": "`seq` of the last event seen; counts over `after`." },
      exampleQuery: "after=0&limit=100",
      answers: {
        200: {
          description: "A page in the order of `seq`; or a stream.",
          content: { "application/json": EventPage, "text/event-stream": LedgerEvent },
        },
      },
    },
    async (call) => {
      const { sandbox_id, after, limit = 100 } = call.query;
      const query = sandbox_id === undefined ? {} : { sandboxId: sandbox_id };
      if (!call.accepts("text/event-stream")) {
        return json(call, 200, await call.engine.events.list(call.who, { ...query, ...(after === undefined ? {} : { after }), limit }));
      }
      const from = lastEventId(call) ?? after;
      return events(
        call,
        ledgerEvents(call.engine.events.follow(call.who, { ...query, ...(from === undefined ? {} : { after: from }) }, call.signal)),
      );
    },
  ),
];

async function* ledgerEvents(source: AsyncIterable<LedgerEventType>): AsyncGenerator<ServerEvent, void, void> {
  for await (const event of source) yield { type: event.type, id: event.seq, data: event };
}

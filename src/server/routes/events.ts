import { z } from "zod";
import {
  CLOUD_EVENTS_BATCH, CloudEvent, EventFilter, EventPage, isId, LedgerEvent, type LedgerEvent as LedgerEventType, toCloudEvent, typesMatching,
} from "../../contract/index.ts"; // prettier-ignore
import type { Call } from "../call.ts";
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
  type: z
    .string()
    .transform((text) => text.split(","))
    .pipe(z.array(EventFilter).max(64))
    .optional()
    .meta({ type: "string", description: "Types or groups of them, with commas between: `sandbox.*,key.created`." }),
  format: z
    .enum(["ledger", "cloudevents"])
    .optional()
    .meta({ description: "`cloudevents` is CloudEvents 1.0, as `Accept: application/cloudevents+json` is. ledger unless given." }),
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
      description:
        "With `Accept: text/event-stream` it follows the ledger: `id` is the event's `seq`, and Last-Event-ID goes on after it. With `Accept: application/cloudevents-batch+json` the answer is a CloudEvents batch, and the header `link` names the next page.",
      scope: "read",
      kind: "follower",
      query: EventQuery,
      headers: { "Last-Event-ID": "`seq` of the last event seen; counts over `after`." },
      exampleQuery: "after=0&limit=100",
      answers: {
        200: {
          description: "A page in the order of `seq`; or a stream.",
          content: { "application/json": EventPage, "text/event-stream": LedgerEvent, [CLOUD_EVENTS_BATCH]: z.array(CloudEvent) },
        },
      },
    },
    async (call) => {
      const { sandbox_id, type, format, after, limit = 100 } = call.query;
      const query = {
        ...(sandbox_id === undefined ? {} : { sandboxId: sandbox_id }),
        ...(type === undefined ? {} : { types: typesMatching(type) }),
      };
      const cloud = format === "cloudevents" || (format === undefined && call.accepts("application/cloudevents"));
      const source = cloud ? await call.engine.events.source() : undefined;
      if (call.accepts("text/event-stream")) {
        const from = lastEventId(call) ?? after;
        const followed = call.engine.events.follow(call.who, { ...query, ...(from === undefined ? {} : { after: from }) }, call.signal);
        return events(call, told(followed, source));
      }
      const page = await call.engine.events.list(call.who, { ...query, ...(after === undefined ? {} : { after }), limit });
      if (source === undefined) return json(call, 200, page);
      const data = page.data.map((event) => toCloudEvent(event, source));
      return call.accepts(CLOUD_EVENTS_BATCH)
        ? json(call, 200, data, { "content-type": CLOUD_EVENTS_BATCH, ...linkTo(call, page.next_cursor) })
        : json(call, 200, { object: "list", data, next_cursor: page.next_cursor });
    },
  ),
];

/** RFC 8288: a batch has no place of its own for a cursor. */
function linkTo(call: Call, cursor: string | null): Record<string, string> {
  if (cursor === null) return {};
  const url = new URL(call.context.req.url);
  url.searchParams.set("after", cursor);
  return { link: `<${url.pathname}${url.search}>; rel="next"` };
}

async function* told(source: AsyncIterable<LedgerEventType>, name: string | undefined): AsyncGenerator<ServerEvent, void, void> {
  for await (const event of source) {
    if (name === undefined) yield { type: event.type, id: event.seq, data: event };
    else {
      const cloud = toCloudEvent(event, name);
      yield { type: cloud.type, id: event.seq, data: cloud };
    }
  }
}

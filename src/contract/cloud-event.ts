import { z } from "zod";
import type { LedgerEvent } from "./api.ts";
import { EVENT_TYPES, typesMatching } from "./event-types.ts";
import { nearest } from "./nearest.ts";

/** CloudEvents 1.0 media types: one event, several, and the prefix that both share. */
export const CLOUD_EVENT = "application/cloudevents+json";
export const CLOUD_EVENTS_BATCH = "application/cloudevents-batch+json";

/** A ledger event as CloudEvents 1.0 has it, in structured mode. `source` and `id` together are unique, and stay the same however often it is told. */
export const CloudEvent = z
  .object({
    specversion: z.literal("1.0"),
    id: z.string().meta({ description: "The event's `seq`." }),
    source: z.string().meta({ description: "The ledger that it stands in.", examples: ["urn:sand-boxer:in0123456789abcdefghjkmn"] }),
    type: z.string().meta({ examples: ["dev.sandboxer.sandbox.ready.v1"] }),
    subject: z.string().optional().meta({ description: "The sandbox's id; absent where the event is of none." }),
    time: z.iso.datetime(),
    datacontenttype: z.literal("application/json"),
    tenant: z.string().meta({ description: "Extension: whose it is." }),
    sequence: z.string().meta({ description: "Extension: sorts as text in the order of the ledger." }),
    data: z.record(z.string(), z.unknown()),
  })
  .meta({ id: "CloudEvent" });
export type CloudEvent = z.infer<typeof CloudEvent>;

/** Tells a ledger event to the outside. */
export function toCloudEvent(event: LedgerEvent, source: string): CloudEvent {
  return {
    specversion: "1.0",
    id: String(event.seq),
    source,
    type: `dev.sandboxer.${event.type}.v1`,
    ...(event.sandbox_id === null ? {} : { subject: event.sandbox_id }),
    time: event.at,
    datacontenttype: "application/json",
    tenant: event.tenant,
    sequence: String(event.seq).padStart(16, "0"),
    data: event.data,
  };
}

/** A type of the catalogue, a group of them as `sandbox.*`, or `*`. One that matches nothing is refused, with the nearest that does. */
export const EventFilter = z.string().check((context) => {
  if (typesMatching([context.value]).length > 0) return;
  const groups = new Set(Object.keys(EVENT_TYPES).map((type) => `${type.split(".")[0]}.*`));
  const near = nearest(context.value, [...Object.keys(EVENT_TYPES), ...groups]);
  context.issues.push({
    code: "custom",
    message: `no event has such a type${near === undefined ? "" : `; nearest: "${near}"`}`,
    input: context.value,
  });
});

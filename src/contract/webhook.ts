import { z } from "zod";
import { EventFilter } from "./cloud-event.ts";

/** How events go out: one a request as `application/cloudevents+json`, or up to 100 as `application/cloudevents-batch+json`. */
const Format = z.enum(["structured", "batch"]);

const types = z
  .array(EventFilter)
  .min(1)
  .max(64)
  .meta({ description: "Types of events, or groups of them as `sandbox.*`. All unless given.", examples: [["sandbox.*"]] });
const description = z.string().max(256);

/** Body of `POST /v1/webhooks`. */
export const WebhookRequest = z
  .strictObject({
    url: z
      .string()
      .max(2048)
      .meta({ description: "https, without user name and fragment.", examples: ["https://hooks.example.com/sandboxes"] }),
    types: types.optional(),
    format: Format.optional().meta({ description: "structured unless given." }),
    description: description.optional(),
    all_tenants: z.boolean().optional().meta({ description: "Every tenant's events; needs the admin scope." }),
    after: z.int().min(0).optional().meta({ description: "Begin after the event with this `seq`; with the next one unless given." }),
    max_attempts: z
      .int()
      .min(1)
      .max(50)
      .optional()
      .meta({ description: "How often an event that the receiver refuses is tried before it is a dead letter; 16 unless given." }),
  })
  .meta({ id: "WebhookRequest" });
export type WebhookRequest = z.infer<typeof WebhookRequest>;

/** Body of `PATCH /v1/webhooks/{id}`. */
export const WebhookChange = z
  .strictObject({
    enabled: z.boolean().optional().meta({ description: "Disabled, it keeps its place and is sent nothing." }),
    types: types.nullable().optional(),
    description: description.optional(),
  })
  .meta({ id: "WebhookChange" });
export type WebhookChange = z.infer<typeof WebhookChange>;

/** Body of `POST /v1/webhooks/{id}/replay`: one of the two. */
export const WebhookReplay = z
  .strictObject({
    after: z.int().min(0).optional().meta({ description: "Tell everything after this `seq` again, in order." }),
    dead: z.literal(true).optional().meta({ description: "Try the dead letters again, oldest first." }),
  })
  .refine(({ after, dead }) => (after === undefined) !== (dead === undefined), "give either after or dead")
  .meta({ id: "WebhookReplay" });
export type WebhookReplay = z.infer<typeof WebhookReplay>;

/** A webhook as everyone sees it: without its secret. */
export const WebhookInfo = z
  .object({
    id: z.string(),
    object: z.literal("webhook"),
    tenant: z.string(),
    url: z.string(),
    types: z.array(z.string()).nullable().meta({ description: "null: all." }),
    format: Format,
    description: z.string(),
    all_tenants: z.boolean(),
    max_attempts: z.int(),
    enabled: z.boolean(),
    disabled_reason: z.string().nullable(),
    cursor: z.int().meta({ description: "`seq` up to which everything is delivered, a dead letter, or of no interest to it." }),
    newest: z.int().meta({ description: "`seq` of the ledger's newest event." }),
    dead_letters: z.int(),
    failures: z.int().meta({ description: "Attempts in a row that failed." }),
    last_status: z.int().nullable(),
    last_error: z.string().nullable(),
    last_attempt_at: z.iso.datetime().nullable(),
    last_success_at: z.iso.datetime().nullable(),
    next_attempt_at: z.iso.datetime().nullable(),
    created_at: z.iso.datetime(),
    rotated_at: z.iso
      .datetime()
      .nullable()
      .meta({ description: "When it was given its present secret; the one before signs too for 24 hours." }),
  })
  .meta({ id: "WebhookInfo" });
export type WebhookInfo = z.infer<typeof WebhookInfo>;

/** How the telling of one event went. The newest delivered ones are kept, dead letters until they are delivered. */
export const WebhookDelivery = z
  .object({
    object: z.literal("webhook_delivery"),
    seq: z.int(),
    type: z.string(),
    sandbox_id: z.string().nullable(),
    state: z.enum(["delivered", "dead", "queued"]).meta({ description: "queued: a dead letter that is to be tried again." }),
    attempts: z.int(),
    status: z.int().nullable().meta({ description: "HTTP status of the last answer; null: there was none." }),
    error: z.string().nullable(),
    at: z.iso.datetime(),
  })
  .meta({ id: "WebhookDelivery" });
export type WebhookDelivery = z.infer<typeof WebhookDelivery>;

/** How one attempt went. */
export const WebhookTestResult = z
  .object({
    object: z.literal("webhook_test"),
    delivered: z.boolean(),
    status: z.int().nullable(),
    error: z.string().nullable(),
    duration_ms: z.int(),
  })
  .meta({ id: "WebhookTestResult" });
export type WebhookTestResult = z.infer<typeof WebhookTestResult>;

import { z } from "zod";
import { Duration } from "./units.ts";

/** How events reach other systems. */
export const WebhooksConfig = z.strictObject({
  allow: z
    .array(z.string().min(1))
    .max(64)
    .optional()
    .meta({ description: 'Private addresses and ranges that any webhook may reach, as "10.1.0.0/16"; none unless listed.' }),
  insecure: z.boolean().optional().meta({ description: "Whether a URL may be http; false unless given." }),
  max_per_tenant: z.int().min(1).max(1000).optional().meta({ description: "20 unless given." }),
});
export type WebhooksConfig = z.infer<typeof WebhooksConfig>;

/** Where the head of the audit log is written beside the ledger. It is an event too (`audit.anchored`), for webhooks. */
export const AuditConfig = z.strictObject({
  anchor_every: Duration.optional().meta({ description: "1h unless given; only where something was written since." }),
  anchor_file: z
    .string()
    .startsWith("/", "must be an absolute path")
    .optional()
    .meta({ description: "One JSON line an anchor is appended; best on another machine's disk. None unless given." }),
});
export type AuditConfig = z.infer<typeof AuditConfig>;

/** OpenTelemetry over OTLP/HTTP. Off unless given, or unless OTEL_EXPORTER_OTLP_ENDPOINT is set; what the environment says counts over this. */
export const TelemetryConfig = z.strictObject({
  endpoint: z.url().optional().meta({ description: 'Of an OTLP/HTTP collector, as "http://127.0.0.1:4318".' }),
  metrics_every: Duration.optional().meta({ description: "60s unless given." }),
});
export type TelemetryConfig = z.infer<typeof TelemetryConfig>;

import { z } from "zod";
import { Capability, IsolationLevel } from "./capability.ts";
import { Price } from "./price.ts";
import { Overrides } from "./profile.ts";
import { BreakerState, Percentiles, ProfileReference } from "./routing.ts";
import { Sandbox } from "./sandbox.ts";
import { Duration } from "./units.ts";

export const Metadata = z
  .record(z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._/-]{0,62}$/, "keys are letters, digits, . _ / -, at most 63"), z.string().max(1024))
  .refine((metadata) => Object.keys(metadata).length <= 64, "at most 64 entries")
  .meta({ id: "Metadata" });

/** Body of `POST /v1/sandboxes`. An empty object asks for the `default` profile. */
export const CreateRequest = z
  .strictObject({
    profile: ProfileReference.optional(),
    name: z.string().min(1).max(128).optional().meta({ description: "For people; need not be unique." }),
    metadata: Metadata.optional(),
    scope_key: z
      .string()
      .regex(/^[\x21-\x7e]{1,255}$/, "must be 1 to 255 visible ASCII characters")
      .optional()
      .meta({ description: "Finds the live sandbox of this profile with the same key, or makes it." }),
    ...Overrides.shape,
  })
  .meta({ id: "CreateRequest" });
export type CreateRequest = z.input<typeof CreateRequest>;

export const RenewRequest = z
  .strictObject({
    ttl: Duration.refine((seconds) => seconds > 0, "must be more than 0").meta({ description: "From now." }),
    shorten: z.boolean().optional().meta({ description: "A renew never shortens unless this is true." }),
  })
  .meta({ id: "RenewRequest" });
export type RenewRequest = z.input<typeof RenewRequest>;

/** Body of `POST /v1/sandboxes/{id}/pause`. */
export const PauseRequest = z
  .strictObject({
    to: z
      .enum(["paused", "suspended"])
      .optional()
      .meta({ description: "paused keeps memory and processes; suspended keeps the disk alone. paused unless given." }),
  })
  .meta({ id: "PauseRequest" });
export type PauseRequest = z.input<typeof PauseRequest>;

export const SandboxPage = z
  .object({ object: z.literal("list"), data: z.array(Sandbox), next_cursor: z.string().nullable() })
  .meta({ id: "SandboxPage" });
export type SandboxPage = z.infer<typeof SandboxPage>;

/** What a live sandbox uses now. null: the backend does not say. */
export const Usage = z
  .object({
    cpu_seconds: z.number().nullable(),
    memory_bytes: z.number().nullable(),
    memory_peak_bytes: z.number().nullable(),
    disk_bytes: z.number().nullable(),
    inodes: z.number().nullable(),
    pids: z.number().nullable(),
    oom_kills: z.number().nullable(),
    egress_bytes_up: z.number().optional().meta({ description: "Through the boundary, over its life; absent where it has no egress." }),
    egress_bytes_down: z.number().optional(),
  })
  .meta({ id: "Usage" });
export type Usage = z.infer<typeof Usage>;

/** A ledger entry. `seq` grows by one across everything; within a sandbox events stand in the order they happened. */
export const LedgerEvent = z
  .object({
    seq: z.int(),
    type: z.string().meta({ examples: ["sandbox.ready"] }),
    at: z.iso.datetime(),
    tenant: z.string(),
    sandbox_id: z.string().nullable(),
    data: z.record(z.string(), z.unknown()),
  })
  .meta({ id: "LedgerEvent" });
export type LedgerEvent = z.infer<typeof LedgerEvent>;

export const EventPage = z
  .object({ object: z.literal("list"), data: z.array(LedgerEvent), next_cursor: z.string().nullable() })
  .meta({ id: "EventPage" });
export type EventPage = z.infer<typeof EventPage>;

/** A configured provider, as it was probed. */
export const BackendInfo = z
  .object({
    object: z.literal("backend"),
    name: z.string(),
    provider: z.string(),
    available: z.boolean(),
    reason: z.string().nullable().meta({ description: "Why it is not available." }),
    isolation: z.array(z.object({ level: IsolationLevel, runtime: z.string(), notes: z.array(z.string()) })),
    capabilities: z.partialRecord(Capability, z.enum(["native", "emulated"])),
    limits: z.record(z.string(), z.unknown()),
    region: z.string().nullable().meta({ description: "null: not known." }),
    self_hosted: z.boolean().nullable().meta({ description: "On machines of the operator's own; null: not known." }),
    price: Price.nullable().meta({ description: "null: not known." }),
    breaker: z.object({
      state: BreakerState,
      failures: z.int().meta({ description: "Acquisitions that failed of late, one after the other." }),
      retry_after_ms: z.number().nullable().meta({ description: "While it is open: when one create may try it again." }),
    }),
    queue_ms: z.number().meta({ description: "How long a create would wait for its create rate now." }),
    availability: z.number().nullable().meta({ description: "Share of creates that it did not fail, of late; null: none of late." }),
    latency_ms: z
      .record(z.string(), Percentiles)
      .meta({ description: "By verb: create (to ready), cold_start (the backend's own part), exec_start, destroy." }),
  })
  .meta({ id: "BackendInfo" });
export type BackendInfo = z.infer<typeof BackendInfo>;

export const SweepReport = z
  .object({
    adopted: z.array(z.string()).meta({ description: "Live sandboxes of ours found at a backend and taken over." }),
    ended: z.array(z.object({ id: z.string(), reason: z.string() })),
    orphans_removed: z.array(z.object({ id: z.string(), backend: z.string() })),
    lost: z.array(z.string()),
    errors: z.array(z.object({ backend: z.string().nullable(), sandbox_id: z.string().nullable(), code: z.string(), message: z.string() })),
  })
  .meta({ id: "SweepReport", description: "What a sweep found and did; a list that could not be read is among the errors." });
export type SweepReport = z.infer<typeof SweepReport>;

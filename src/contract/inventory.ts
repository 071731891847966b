import { z } from "zod";
import { IsolationLevel } from "./capability.ts";
import { BackendConfig } from "./config.ts";
import { Size } from "./units.ts";

/** A host's name is its backend's: in routes, prices and rules. */
export const HostName = BackendConfig.shape.name;

/** Of which providers a host of the inventory may be. */
const HostProvider = z.enum(["ssh", "docker"]);

const Capacity = z
  .strictObject({
    cpu: z.number().positive().max(4096).optional(),
    memory: Size.optional(),
    sandboxes: z.int().min(0).max(100_000).optional(),
  })
  .meta({ id: "HostCapacity", description: "What live sandboxes there may have together; a missing one is not bounded." });

/** Body of `POST /v1/hosts`. */
export const HostRequest = z
  .strictObject({
    name: HostName.meta({ description: "Of the backend that it becomes." }),
    provider: HostProvider,
    options: z.record(z.string(), z.unknown()).meta({ description: "The provider's, as in the configuration: docs/backends. No secrets." }),
    capacity: Capacity.optional(),
  })
  .meta({ id: "HostRequest" });
export type HostRequest = z.input<typeof HostRequest>;

/** Body of `PATCH /v1/hosts/{name}`. */
export const HostChange = z
  .strictObject({ draining: z.boolean().optional().meta({ description: "true: nothing new goes there." }), capacity: Capacity.optional() })
  .refine(({ draining, capacity }) => draining !== undefined || capacity !== undefined, "give draining, capacity, or both")
  .meta({ id: "HostChange" });
export type HostChange = z.input<typeof HostChange>;

const amounts = { cpu: z.number(), memory_bytes: z.number(), sandboxes: z.int() };

/** A host of the inventory, as this control plane knows it. */
export const HostInfo = z
  .object({
    object: z.literal("host"),
    name: z.string(),
    provider: HostProvider,
    options: z.record(z.string(), z.unknown()),
    draining: z.boolean(),
    capacity: z.object({
      cpu: amounts.cpu.nullable(),
      memory_bytes: amounts.memory_bytes.nullable(),
      sandboxes: amounts.sandboxes.nullable(),
    }),
    used: z.object(amounts).meta({ description: "By sandboxes that have not ended, lost ones too." }),
    available: z.boolean().meta({ description: "Whether it could be opened." }),
    reason: z.string().nullable().meta({ description: "Why not." }),
    added_at: z.iso.datetime(),
  })
  .meta({ id: "HostInfo" });
export type HostInfo = z.infer<typeof HostInfo>;

/** Answer of `POST /v1/hosts/{name}/check`. */
export const HostCheck = z
  .object({
    object: z.literal("host_check"),
    name: z.string(),
    reachable: z.boolean(),
    reason: z.string().nullable().meta({ description: "Why not, with the error's code before it." }),
    isolation: z.array(z.object({ level: IsolationLevel, runtime: z.string(), notes: z.array(z.string()) })),
    capabilities: z.record(z.string(), z.string()),
    found: z.int().nullable().meta({ description: "Sandboxes that it has of this ledger; null where it could not be asked." }),
    answered_ms: z.number().nullable(),
  })
  .meta({ id: "HostCheck" });
export type HostCheck = z.infer<typeof HostCheck>;

/** Answer of a change: `remaining` is what still lives there, by id. */
export const HostChanged = HostInfo.extend({ remaining: z.array(z.string()) }).meta({ id: "HostChanged" });
export type HostChanged = z.infer<typeof HostChanged>;

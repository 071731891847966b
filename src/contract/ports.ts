import { z } from "zod";
import { Port, PortVisibility } from "./network.ts";
import { Duration } from "./units.ts";

/** Body of `POST /v1/sandboxes/{id}/ports`. */
export const PublishRequest = z
  .strictObject({
    port: Port,
    visibility: PortVisibility.optional().meta({ description: "private unless given." }),
    ttl: Duration.refine((seconds) => seconds > 0, "must be more than 0")
      .optional()
      .meta({ description: "Unpublished after this; with the sandbox's end unless given." }),
  })
  .meta({ id: "PublishRequest" });
export type PublishRequest = z.input<typeof PublishRequest>;

/** A port that can be reached from outside. */
export const PortInfo = z
  .object({
    object: z.literal("port"),
    sandbox_id: z.string(),
    port: z.int(),
    visibility: PortVisibility.meta({ description: "As it is in force: never wider than the operator allows." }),
    source: z.enum(["profile", "request"]).meta({ description: "Whether the profile lists it or somebody published it." }),
    expires_at: z.iso.datetime().nullable(),
    url: z.string().nullable().meta({ description: "By host name, for browsers; null where no server listens." }),
    path: z.string().meta({ description: "Below the server's own address, for programs." }),
  })
  .meta({ id: "PortInfo" });
export type PortInfo = z.infer<typeof PortInfo>;

/** Body of `POST /v1/sandboxes/{id}/ports/{port}/address`. */
export const AddressRequest = z
  .strictObject({
    ttl: Duration.refine((seconds) => seconds > 0 && seconds <= 30 * 86_400, "must be more than 0 and at most 30d")
      .optional()
      .meta({ description: "How long whoever opens it may visit; 1h unless given." }),
    path: z
      .string()
      .regex(/^\/[\x21-\x7e]*$/, 'must begin with "/"')
      .max(2048)
      .optional()
      .meta({ description: 'Where it leads; "/" unless given.' }),
  })
  .meta({ id: "AddressRequest" });
export type AddressRequest = z.input<typeof AddressRequest>;

/** An address that lets its holder in. */
export const PortAddress = z
  .object({
    object: z.literal("port_address"),
    url: z.string(),
    once: z.boolean().meta({ description: "Whether it opens one session and then no other, as those of private ports do." }),
    open_until: z.iso.datetime().nullable().meta({ description: "After that it opens nothing; null for a public port." }),
    expires_at: z.iso.datetime().nullable().meta({ description: "When a visit that it opened ends; null for a public port." }),
  })
  .meta({ id: "PortAddress" });
export type PortAddress = z.infer<typeof PortAddress>;

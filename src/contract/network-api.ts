import { z } from "zod";
import { AllowRule, Network, NetworkLimits, NetworkVerdict } from "./network.ts";
import { ProfileReference } from "./routing.ts";

/** Body of `PATCH /v1/sandboxes/{id}/network`: all rules and limits anew. Both only within the profile and the operator's floor. */
export const NetworkUpdate = z
  .strictObject({
    allow: z.array(AllowRule).max(512).meta({ description: "All rules from now on; an empty list denies everything." }),
    limits: NetworkLimits.optional().meta({ description: "The profile's own unless given." }),
    mode: z.enum(["enforce", "audit"]).optional().meta({ description: "audit only where the profile has it; enforce unless given." }),
    dry_run: z.boolean().optional().meta({ description: "Only says what would change." }),
  })
  .meta({ id: "NetworkUpdate" });
export type NetworkUpdate = z.input<typeof NetworkUpdate>;

/** A rule as it is in force: every default filled in, the host in its canonical form. */
export const EffectiveRule = z
  .object({
    id: z.string().meta({ description: "What verdicts call it." }),
    host: z.string().nullable(),
    cidr: z.string().nullable(),
    ports: z.array(z.int()),
    methods: z.array(z.string()).nullable().meta({ description: "null: any." }),
    paths: z.array(z.string()).nullable().meta({ description: "null: any." }),
    tls: z.enum(["passthrough", "inspect"]),
    websocket: z.boolean(),
  })
  .meta({ id: "EffectiveRule" });
export type EffectiveRule = z.infer<typeof EffectiveRule>;

/** What a sandbox may reach, whether the boundary serves it, and what moved. */
export const NetworkView = z
  .object({
    object: z.literal("network"),
    sandbox_id: z.string(),
    state: z.enum(["none", "attaching", "attached", "unavailable", "ended"]).meta({
      description:
        "none: made without egress, and nothing can be opened for it. unavailable: the boundary does not serve it, and nothing gets out; `problem` says why.",
    }),
    problem: z.string().nullable(),
    revision: z.int().meta({ description: "Grows with every change; 0 where there is none." }),
    applied_revision: z.int().meta({ description: "What the boundary has confirmed." }),
    mode: z.enum(["enforce", "audit"]),
    rules: z.array(EffectiveRule),
    within: z.array(EffectiveRule).meta({ description: "Profile and operator's floor: what an update may ask for at most." }),
    limits: z.object({
      connections: z.int(),
      bandwidth: z.number().nullable().meta({ description: "Bytes a second each way; null: unlimited." }),
      bytes: z.number().nullable().meta({ description: "Over its life, both ways together; null: unlimited." }),
      idle_seconds: z.number(),
    }),
    traffic: z
      .object({ bytes_up: z.int(), bytes_down: z.int(), open: z.int().nullable() })
      .meta({ description: "open: connections now; null where the boundary does not answer." }),
  })
  .meta({ id: "NetworkView" });
export type NetworkView = z.infer<typeof NetworkView>;

export const NetworkChange = z
  .object({
    object: z.literal("network_change"),
    dry_run: z.boolean(),
    added: z.array(EffectiveRule),
    removed: z.array(EffectiveRule),
    narrowed: z.array(z.string()).meta({ description: "Fields that were asked for wider than they were given." }),
    closed: z
      .int()
      .nullable()
      .meta({ description: "Open connections that were closed, or would be; null: not known, since the boundary did not answer." }),
    network: NetworkView.meta({ description: "As it is after the change; with dry_run as it would be." }),
  })
  .meta({ id: "NetworkChange" });
export type NetworkChange = z.infer<typeof NetworkChange>;

export const NetworkLogPage = z
  .object({ object: z.literal("list"), data: z.array(NetworkVerdict), next_cursor: z.string().nullable() })
  .meta({ id: "NetworkLogPage" });
export type NetworkLogPage = z.infer<typeof NetworkLogPage>;

/** Body of `POST /v1/network/check`. */
export const NetworkCheckRequest = z
  .strictObject({
    profile: ProfileReference,
    url: z
      .string()
      .min(1)
      .max(4096)
      .meta({ examples: ["https://api.example.com/v1/items"] }),
    method: z
      .string()
      .regex(/^[A-Z]{1,20}$/, "must be a method in capitals, as GET")
      .optional()
      .meta({ description: "GET unless given." }),
    network: Network.pick({ allow: true, limits: true, mode: true })
      .optional()
      .meta({ description: "As a create request would narrow it." }),
  })
  .meta({ id: "NetworkCheckRequest" });
export type NetworkCheckRequest = z.input<typeof NetworkCheckRequest>;

export const NetworkCheck = z
  .object({
    object: z.literal("network_check"),
    profile: z.string(),
    url: z.string(),
    method: z.string(),
    verdict: z.enum(["allow", "deny", "audit"]),
    rule: z.string().nullable().meta({ description: "The rule that decides." }),
    tls: z.enum(["passthrough", "inspect"]).nullable(),
    reason: z.string().nullable(),
    detail: z.string().nullable(),
    note: z.string().nullable().meta({ description: "What the verdict leaves open, as that a rule without inspect sees no path." }),
    needed: AllowRule.nullable().meta({ description: "The narrowest rule that would allow it; null where it is allowed, or nothing can." }),
  })
  .meta({ id: "NetworkCheck" });
export type NetworkCheck = z.infer<typeof NetworkCheck>;

export const NetworkSuggestion = z
  .object({
    object: z.literal("network_suggestion"),
    sandbox_id: z.string(),
    from_entries: z.int().meta({ description: "Entries of the log that they were made from." }),
    allow: z.array(AllowRule).meta({ description: "For a person to review: they say what was tried, not what is right." }),
    yaml: z.string().meta({ description: "The same, as it stands in a profile." }),
    left_out: z
      .array(z.object({ host: z.string(), reason: z.string(), count: z.int() }))
      .meta({ description: "What was denied and no rule can or should allow." }),
  })
  .meta({ id: "NetworkSuggestion" });
export type NetworkSuggestion = z.infer<typeof NetworkSuggestion>;

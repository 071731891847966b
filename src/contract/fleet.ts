import { z } from "zod";
import { Duration } from "./units.ts";

/** Where the ledger is, if it is not `ledger.db` in the data directory. */
export const LedgerAddress = z
  .string()
  .regex(/^postgres(ql)?:\/\//, 'must be the address of a PostgreSQL database, as "postgres://user@host/sandboxer"')
  .meta({
    description: "A PostgreSQL database that control planes share; SANDBOXER_LEDGER wins. The data directory's own file unless given.",
  });

/** How this host stands in a fleet: control planes over one PostgreSQL. */
export const FleetConfig = z.strictObject({
  name: z.string().min(1).max(253).optional().meta({ description: "What the host is called; its host name unless given." }),
  address: z
    .url({ protocol: /^https?$/ })
    .optional()
    .meta({ description: "Where its API is reached: told to those who ask elsewhere for a sandbox of this host." }),
  lease: Duration.optional().meta({
    description: "After so long without a sign a control plane counts as dead and others take over its work; 30s unless given.",
  }),
});
export type FleetConfig = z.infer<typeof FleetConfig>;

/** How long what is over is kept. Nothing alive is ever touched, and what is money is summed up before it goes. */
export const RetentionConfig = z.strictObject({
  events: Duration.optional().meta({ description: "90d unless given." }),
  sandboxes: Duration.optional().meta({ description: "Ended ones, with their execs, processes and labels; 90d unless given." }),
  network_log: Duration.optional().meta({ description: "7d unless given." }),
  at: z
    .string()
    .regex(/^([01]\d|2[0-3]):[0-5]\d$/, 'must be a time of day in UTC, as "03:00"')
    .optional()
    .meta({ description: "When it is done each day, UTC; 03:00 unless given." }),
});
export type RetentionConfig = z.infer<typeof RetentionConfig>;

/** A process that works on the ledger. */
export const FleetInstance = z.strictObject({
  id: z.string(),
  host: z.string().nullable().meta({ description: "The host's id; null without a fleet." }),
  pid: z.int(),
  self: z.boolean().meta({ description: "Whether it is the one that answers." }),
  alive: z.boolean(),
  lease_ms: z.int().nullable().meta({ description: "How long its lease still holds, by the ledger's clock; null without a fleet." }),
  started_ms: z.int().meta({ description: "How long ago it started." }),
});

export const FleetHostInfo = z.strictObject({
  id: z.string(),
  name: z.string(),
  address: z.string().nullable(),
  seen_ms: z.int().meta({ description: "How long ago it was last heard of, by the ledger's clock." }),
  sandboxes: z.int().meta({ description: "Live ones in its local runtime." }),
});

export const FleetLease = z.strictObject({
  name: z.string().meta({ description: "What is done under it, as sweep:BACKEND." }),
  holder: z.string().meta({ description: "The instance that does it." }),
  left_ms: z.int().meta({ description: "How long it still holds; negative once anybody may take it." }),
});

export const Fleet = z.strictObject({
  object: z.literal("fleet"),
  shared: z.boolean().meta({ description: "Whether control planes of several hosts may work on this ledger." }),
  instances: z.array(FleetInstance),
  hosts: z.array(FleetHostInfo),
  leases: z.array(FleetLease),
});
export type Fleet = z.infer<typeof Fleet>;

import { z } from "zod";
import { isId } from "./ids.ts";
import { Duration } from "./units.ts";

/** What a verb that stops or saves keeps. */
export const Preserves = z.enum(["memory", "disk", "volumes", "none"]).meta({ id: "Preserves" });
/** What it does beside that to the sandbox it is about. */
export const SideEffect = z.enum(["freezes_source", "stops_source", "none"]).meta({ id: "SideEffect" });

export const SnapshotState = z.enum(["making", "ready", "removing"]).meta({ id: "SnapshotState" });
export type SnapshotState = z.infer<typeof SnapshotState>;

/** A sandbox's state that was kept. It outlives its sandbox. */
export const SnapshotInfo = z
  .object({
    object: z.literal("snapshot"),
    id: z.string(),
    name: z.string().nullable(),
    tenant: z.string(),
    project: z.string().nullable(),
    kind: z.literal("disk").meta({ description: "Files. Running processes are not in it." }),
    state: SnapshotState,
    backend: z.string(),
    parent: z
      .string()
      .nullable()
      .meta({ description: "The snapshot that its sandbox came from: only what differs from it is in this one." }),
    sandbox_id: z.string().nullable().meta({ description: "What it was taken of; null: it was imported." }),
    profile: z.string().nullable().meta({ description: "name@version of its sandbox's profile; null: it was imported." }),
    image: z
      .string()
      .nullable()
      .meta({ description: "What its sandbox stands on at the bottom: host, or an image's id. null until ready." }),
    size_bytes: z.int().nullable().meta({ description: "Of what is in this one, without its parents." }),
    entries: z.int().nullable(),
    digest: z.string().nullable().meta({ description: "Over everything in it; checked before it is used." }),
    created_at: z.iso.datetime(),
    expires_at: z.iso.datetime().nullable().meta({ description: "null: kept until it is removed." }),
    preserves: z.array(Preserves),
    side_effects: z.array(SideEffect).meta({ description: "Of taking it: its sandbox stood still while its changed files were copied." }),
  })
  .meta({ id: "SnapshotInfo" });
export type SnapshotInfo = z.infer<typeof SnapshotInfo>;

const positive = Duration.refine((seconds) => seconds > 0, "must be more than 0");

/** Body of `POST /v1/sandboxes/{id}/snapshots`. */
export const SnapshotRequest = z
  .strictObject({
    name: z.string().min(1).max(128).optional().meta({ description: "For people; need not be unique." }),
    ttl: positive.optional().meta({ description: "Removed then; kept until it is removed unless given." }),
    kind: z.enum(["disk", "memory"]).optional().meta({ description: "disk unless given; memory is refused in this version." }),
  })
  .meta({ id: "SnapshotRequest" });
export type SnapshotRequest = z.input<typeof SnapshotRequest>;

export const SnapshotId = z.string().refine((text) => isId("snapshot", text), "must be the id of a snapshot");

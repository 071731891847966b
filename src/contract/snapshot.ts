import { z } from "zod";
import { isId } from "./ids.ts";
import { Overrides } from "./profile.ts";
import { Sandbox } from "./sandbox.ts";
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

/** Body of `POST /v1/sandboxes/{id}/fork`. What is not given is as in its profile. */
export const ForkRequest = z
  .strictObject({
    count: z.int().min(1).max(100).optional().meta({ description: "1 unless given." }),
    name: z.string().min(1).max(128).optional(),
    ...Overrides.shape,
  })
  .meta({ id: "ForkRequest" });
export type ForkRequest = z.input<typeof ForkRequest>;

/** Sandboxes that go on from where another one was, each by itself. */
export const Fork = z
  .object({
    object: z.literal("fork"),
    snapshot: SnapshotInfo.meta({ description: "What they have in common. It goes when the last of them has ended." }),
    sandboxes: z.array(Sandbox),
    preserves: z.array(Preserves),
    side_effects: z.array(SideEffect),
  })
  .meta({ id: "Fork" });
export type Fork = z.infer<typeof Fork>;

/** Who came from whom: sandboxes and snapshots by their parents. */
export const SnapshotTree = z
  .object({
    object: z.literal("tree"),
    nodes: z.array(
      z.object({
        id: z.string(),
        kind: z.enum(["sandbox", "snapshot"]),
        name: z.string().nullable(),
        state: z.string(),
        parent: z.string().nullable().meta({ description: "A snapshot of a sandbox, a sandbox of a snapshot; null: it began anew." }),
        created_at: z.iso.datetime(),
        size_bytes: z.int().nullable(),
      }),
    ),
  })
  .meta({ id: "SnapshotTree" });
export type SnapshotTree = z.infer<typeof SnapshotTree>;

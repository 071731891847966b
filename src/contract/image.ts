import { z } from "zod";

/** A reference as people write it: `alpine`, `registry.example.com:5000/team/app:1.2`, with `@sha256:...` for exactly one. */
export const ImageReference = z
  .string()
  .max(512)
  .regex(
    /^[A-Za-z0-9]([A-Za-z0-9._:/-]*[A-Za-z0-9])?(@sha256:[0-9a-f]{64})?$/,
    'must be a reference such as "debian:12" or "registry.example.com/team/app:1.2"',
  )
  .meta({ id: "ImageReference" });

/** An image that a backend keeps. */
export const ImageInfo = z
  .object({
    object: z.literal("image"),
    id: z.string().meta({ description: "The digest of its configuration: the same content has the same id everywhere." }),
    backend: z.string(),
    references: z.array(z.string()).meta({ description: "Names that lead to it, each whole." }),
    layers: z.int(),
    size_bytes: z.int().meta({ description: "Of its layers, unpacked. Layers that several images have in common are kept once." }),
    user: z.string().meta({ description: "uid:gid that commands run as. Images without a user, or with root, run as 1000:1000." }),
    workdir: z.string().meta({ description: "Where commands start." }),
    entrypoint: z.array(z.string()).meta({ description: "What the image would start. It is told, and not run." }),
    command: z.array(z.string()),
    created_at: z.iso.datetime().meta({ description: "When it came to the backend." }),
    used_by: z.array(z.string()).meta({ description: "Sandboxes and snapshots that stand on it." }),
  })
  .meta({ id: "ImageInfo" });
export type ImageInfo = z.infer<typeof ImageInfo>;

/** What goes on while an image is taken in. */
export const ImageProgress = z
  .discriminatedUnion("type", [
    z.object({
      type: z.literal("progress"),
      step: z.enum(["receive", "pull", "unpack"]),
      detail: z.string(),
      bytes: z.int().nullable().meta({ description: "Done of this step so far; null: not counted." }),
    }),
    z.object({ type: z.literal("image"), image: ImageInfo }),
    z.object({ type: z.literal("done") }),
  ])
  .meta({ id: "ImageProgress" });
export type ImageProgress = z.infer<typeof ImageProgress>;

export const ImageFormat = z.enum(["auto", "docker", "oci", "rootfs"]).meta({ id: "ImageFormat" });
export type ImageFormat = z.infer<typeof ImageFormat>;

/** Body of `POST /v1/images/pull`. */
export const ImagePullRequest = z
  .strictObject({
    reference: ImageReference,
    backend: z.string().optional().meta({ description: "The first that keeps images unless given." }),
    plain_http: z.boolean().optional().meta({ description: "The registry speaks HTTP without TLS. false unless given." }),
    credentials: z
      .strictObject({ username: z.string().min(1).max(1024), password: z.string().max(8192) })
      .optional()
      .meta({ description: "Of a private registry; used for this pull and not kept." }),
  })
  .meta({ id: "ImagePullRequest" });
export type ImagePullRequest = z.input<typeof ImagePullRequest>;

/** Body of `POST /v1/images/prune`. */
export const ImagePruneRequest = z
  .strictObject({
    backend: z.string().optional(),
    all: z.boolean().optional().meta({ description: "Also images that have a name. false unless given." }),
  })
  .meta({ id: "ImagePruneRequest" });
export type ImagePruneRequest = z.input<typeof ImagePruneRequest>;

/** What a removal took away. */
export const ImageRemoval = z
  .object({
    object: z.literal("image_removal"),
    references: z.array(z.string()),
    images: z.array(z.string()).meta({ description: "Ids of those of which nothing is left." }),
    freed_bytes: z.int().meta({ description: "Of layers that no other image has." }),
  })
  .meta({ id: "ImageRemoval" });
export type ImageRemoval = z.infer<typeof ImageRemoval>;

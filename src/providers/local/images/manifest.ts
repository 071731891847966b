import { z } from "zod";
import { refused } from "./limits.ts";

/** The documents of an image, as far as they count here: https://github.com/opencontainers/image-spec */

const Digest = z.string().regex(/^sha256:[0-9a-f]{64}$/, "only sha256 digests are understood");

const Descriptor = z.object({
  mediaType: z.string().optional(),
  digest: Digest,
  size: z.int().min(0),
  annotations: z.record(z.string(), z.string()).nullish(),
  platform: z.object({ os: z.string(), architecture: z.string() }).nullish(),
});
export type Descriptor = z.infer<typeof Descriptor>;

export const OciIndex = z.object({ manifests: z.array(Descriptor).min(1).max(1000) });

export const OciManifest = z.object({ config: Descriptor, layers: z.array(Descriptor) });

export const ImageConfig = z.object({
  architecture: z.string().optional(),
  os: z.string().optional(),
  config: z
    .object({
      User: z.string().nullish(),
      Env: z.array(z.string()).nullish(),
      Entrypoint: z.array(z.string()).nullish(),
      Cmd: z.array(z.string()).nullish(),
      WorkingDir: z.string().nullish(),
    })
    .nullish(),
  rootfs: z.object({ type: z.literal("layers"), diff_ids: z.array(Digest) }),
});
export type ImageConfig = z.infer<typeof ImageConfig>;

/** `manifest.json` of `docker save`. */
export const DockerManifest = z.array(z.object({ Config: z.string(), RepoTags: z.array(z.string()).nullish(), Layers: z.array(z.string()) })).min(1).max(1000); // prettier-ignore

/** Documents are small; whoever sends a larger one wants memory. */
export const DOCUMENT_BYTES = 8 * 1024 ** 2;

/** Reads a document of a stranger's. */
export function document<Schema extends z.ZodType>(schema: Schema, bytes: Uint8Array, what: string): z.output<Schema> {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw refused(`its ${what} is not JSON`, cause);
  }
  const read = schema.safeParse(value);
  if (read.success) return read.data;
  const [issue] = read.error.issues;
  throw refused(`its ${what} is malformed at ${issue?.path.join(".") ?? ""}: ${issue?.message ?? ""}`, read.error);
}

/** The architecture of this host, by the name that images have for it. */
export const ARCHITECTURE = process.arch === "x64" ? "amd64" : process.arch;

/** Throws where it is made for other machines. */
export function checkPlatform({ architecture, os }: ImageConfig): void {
  if ((os ?? "linux") !== "linux") throw refused(`it is for ${os ?? ""}, and sandboxes run Linux`);
  if (architecture !== undefined && architecture !== "" && architecture !== ARCHITECTURE)
    throw refused(`it is for ${architecture}, and this host is ${ARCHITECTURE}`);
}

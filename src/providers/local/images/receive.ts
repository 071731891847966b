import { createHash } from "node:crypto";
import { closeSync, openSync, statfsSync, writeSync } from "node:fs";
import { join } from "node:path";
import { fullReference, type ImageFormat, type ImageProgress, type Op, SandboxerError } from "../../../contract/index.ts";
import { dockerImages, type FoundImage, ociImages } from "./archive.ts";
import { TarFile } from "./content.ts";
import { Allowance, type ImageLimits, refused } from "./limits.ts";
import { ARCHITECTURE, type ImageConfig } from "./manifest.ts";
import { directoryMembers, namesIn, unpackMembers } from "./members.ts";
import { pullLayout, type PullRequest } from "./pull.ts";

type Progress = Extract<ImageProgress, { type: "progress" }>;

/** Host bytes below which no image is taken in. */
const KEEP_FREE_BYTES = 512 * 1024 ** 2;

const PROGRESS_BYTES = 64 * 1024 ** 2;

/** Writes what is sent to the draft, and finds the images in it. */
export async function* receive(
  source: AsyncIterable<Uint8Array>,
  format: ImageFormat,
  draft: string,
  limits: ImageLimits,
  op: Op,
): AsyncGenerator<Progress, FoundImage[], void> {
  const file = join(draft, "archive");
  const descriptor = openSync(file, "wx", 0o600);
  let bytes = 0;
  try {
    let told = 0;
    for await (const piece of source) {
      op.signal.throwIfAborted();
      for (let at = 0; at < piece.length;) at += writeSync(descriptor, piece, at);
      bytes += piece.length;
      if (bytes > limits.bytes) throw refused("more was sent for it than this backend allows (option images.max_bytes)");
      if (bytes - told < PROGRESS_BYTES) continue;
      told = bytes;
      checkRoom(draft);
      yield { type: "progress", step: "receive", detail: "archive", bytes };
    }
  } finally {
    closeSync(descriptor);
  }
  yield { type: "progress", step: "receive", detail: "archive", bytes };
  checkRoom(draft);
  return imagesIn(file, format, draft, limits);
}

async function imagesIn(file: string, format: ImageFormat, draft: string, limits: ImageLimits): Promise<FoundImage[]> {
  const kind = format === "auto" ? kindOf(await namesIn(file)) : format;
  if (kind === "rootfs") return [await rootFileSystem(file)];
  const members = await unpackMembers(file, join(draft, "members"), new Allowance(limits));
  return kind === "docker" ? dockerImages(members) : ociImages(members);
}

/** New archives of Docker's are OCI layouts too; their own list has the names. */
function kindOf(names: ReadonlySet<string>): "docker" | "oci" | "rootfs" {
  if (names.has("manifest.json")) return "docker";
  return names.has("index.json") && names.has("oci-layout") ? "oci" : "rootfs";
}

/** A root file system says nothing of itself: its configuration is made up, of its content alone. */
async function rootFileSystem(file: string): Promise<FoundImage> {
  const first = new TarFile(file);
  for await (const chunk of first.read()) void chunk;
  const config: ImageConfig = { architecture: ARCHITECTURE, os: "linux", rootfs: { type: "layers", diff_ids: [first.diffId] } };
  const id = `sha256:${createHash("sha256").update(JSON.stringify(config)).digest("hex")}`;
  return { id, config, references: [], layers: [{ diffId: first.diffId, tar: new TarFile(file, { diffId: first.diffId }) }] };
}

/** Has the image fetched to the draft. */
export async function* fetched(request: PullRequest, draft: string, op: Op): AsyncGenerator<Progress, FoundImage[], void> {
  checkRoom(draft);
  const layout = yield* pullLayout(request, draft, op);
  const found = await ociImages(directoryMembers(layout));
  // What was asked for by a name has that name, whatever the layout says.
  return found.map((image) => ({ ...image, references: [fullReference(request.reference) ?? request.reference] }));
}

function checkRoom(directory: string): void {
  const { bavail, bsize } = statfsSync(directory);
  if (bavail * bsize < KEEP_FREE_BYTES)
    throw new SandboxerError("storage_unavailable", "less than 512 MiB are free on the disk that holds the images", { phase: "image" });
}

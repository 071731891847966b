import { createHash } from "node:crypto";
import { fullReference } from "../../../contract/index.ts";
import { type Expected, TarFile } from "./content.ts";
import { refused } from "./limits.ts";
import { ARCHITECTURE, checkPlatform, type Descriptor, DockerManifest, document, ImageConfig, OciIndex, OciManifest } from "./manifest.ts";
import { type Members, readMember } from "./members.ts";

/** An image that was found in an archive: its configuration, and its layers, lowest first. */
export interface FoundImage {
  /** `sha256:` and the digest of the configuration's bytes. */
  readonly id: string;
  readonly config: ImageConfig;
  readonly layers: readonly { readonly diffId: string; readonly tar: TarFile }[];
  /** Digest of its manifest, where it has one. */
  readonly manifestDigest?: string;
  /** Whole names that the archive has for it. */
  readonly references: readonly string[];
}

const sha256 = (bytes: Uint8Array): string => `sha256:${createHash("sha256").update(bytes).digest("hex")}`;

const REF_NAME = "org.opencontainers.image.ref.name";
/** What containerd and `docker save` write beside it: the whole name. */
const IMAGE_NAME = "io.containerd.image.name";

/** The images of `docker save`. */
export async function dockerImages(members: Members): Promise<FoundImage[]> {
  const entries = document(DockerManifest, await readMember(members, "manifest.json"), "manifest.json");
  return Promise.all(
    entries.map(async ({ Config, RepoTags, Layers }) => {
      const bytes = await readMember(members, Config);
      const id = sha256(bytes);
      const named = /^(?:blobs\/sha256\/)?([0-9a-f]{64})(?:\.json)?$/.exec(Config)?.[1];
      if (named !== undefined && id !== `sha256:${named}`) throw refused("its configuration is not what its digest says");
      const found = { id, config: document(ImageConfig, bytes, "configuration"), references: whole(RepoTags ?? []) };
      return { ...found, layers: await layersOf(members, found.config, Layers.map((name) => ({ name, ...blobDigest(name) }))) };
    }),
  );
} // prettier-ignore

function blobDigest(name: string): Expected {
  const hex = /^blobs\/sha256\/([0-9a-f]{64})$/.exec(name)?.[1];
  return hex === undefined ? {} : { digest: `sha256:${hex}` };
}

/** The images of an OCI layout that are for this host. */
export async function ociImages(members: Members): Promise<FoundImage[]> {
  const { manifests } = document(OciIndex, await readMember(members, "index.json"), "index.json");
  const found: FoundImage[] = [];
  for (const one of manifests) {
    const manifest = await manifestFor(members, one, 0);
    if (manifest !== undefined) found.push(await ociImage(members, one, manifest));
  }
  if (found.length === 0) throw refused(`nothing in it is for linux/${ARCHITECTURE}`);
  return found;
}

/** An index within an index names one image for several machines; deeper ones are nobody's. */
async function manifestFor(members: Members, descriptor: Descriptor, depth: number): Promise<Descriptor | undefined> {
  const { platform } = descriptor;
  if (platform !== null && platform !== undefined && (platform.os !== "linux" || platform.architecture !== ARCHITECTURE)) return undefined;
  if (!/index|manifest\.list/.test(descriptor.mediaType ?? "")) return descriptor;
  if (depth > 1) throw refused("its index is nested too deep");
  const { manifests } = document(OciIndex, await blob(members, descriptor), "index");
  for (const one of manifests) {
    const manifest = await manifestFor(members, one, depth + 1);
    if (manifest !== undefined) return manifest;
  }
  return undefined;
}

async function ociImage(members: Members, named: Descriptor, descriptor: Descriptor): Promise<FoundImage> {
  const manifest = document(OciManifest, await blob(members, descriptor), "manifest");
  const bytes = await blob(members, manifest.config);
  const config = document(ImageConfig, bytes, "configuration");
  const names = [named.annotations?.[IMAGE_NAME], named.annotations?.[REF_NAME]].filter((name) => name !== undefined);
  return {
    id: sha256(bytes),
    config,
    manifestDigest: descriptor.digest,
    // A bare tag says nothing of whose it is.
    references: whole(names.filter((name) => /[/:]/.test(name))),
    layers: await layersOf(members, config, manifest.layers.map(({ digest }) => ({ name: blobName(digest), digest }))),
  };
} // prettier-ignore

const blobName = (digest: string): string => `blobs/sha256/${digest.slice("sha256:".length)}`;

async function blob(members: Members, { digest }: Descriptor): Promise<Buffer> {
  const bytes = await readMember(members, blobName(digest));
  if (sha256(bytes) !== digest) throw refused(`a document in it is not what its digest ${digest} says`);
  return bytes;
}

async function layersOf(
  members: Members,
  config: ImageConfig,
  layers: readonly ({ readonly name: string } & Expected)[],
): Promise<FoundImage["layers"]> {
  checkPlatform(config);
  const { diff_ids: diffIds } = config.rootfs;
  if (diffIds.length !== layers.length) throw refused("its configuration and its manifest name another number of layers");
  return Promise.all(
    layers.map(async ({ name, digest }, at) => {
      const diffId = diffIds[at] ?? "";
      return { diffId, tar: new TarFile(await members.file(name), { diffId, ...(digest === undefined ? {} : { digest }) }) };
    }),
  );
}

function whole(names: readonly string[]): string[] {
  return [...new Set(names.map((name) => fullReference(name)).filter((name) => name !== undefined))];
}

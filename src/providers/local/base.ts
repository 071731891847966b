import { chownSync, existsSync, lstatSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { type SandboxSpec, SandboxerError } from "../../contract/index.ts";
import { mountPoints } from "./disk/image.ts";
import { idBase, type Slot, WRITABLE } from "./disk/slot.ts";
import type { Host } from "./host.ts";
import { mountOverlay } from "./images/overlay.ts";
import { mountRoot } from "./images/root.ts";
import { layerPath } from "./images/store.ts";
import type { SandboxNetwork } from "./network/network.ts";
import type { SandboxImage } from "./record.ts";

/** What a sandbox stands on. Neither: the host's own programs, and nothing of an earlier one. */
export interface SandboxBase {
  readonly image?: SandboxImage;
  /** The snapshot that it comes from and that one's parents, the nearest first. */
  readonly snapshots?: readonly string[];
}

/** Where the runtime finds what it is made of. */
export interface Places {
  /** Its root; undefined for the one that all on the host's own programs have. */
  readonly root: string | undefined;
  /** Directory with its writable places, where they are mounted one by one. */
  readonly writable: string | undefined;
}

interface MadeBefore {
  readonly base: SandboxBase;
  readonly slot: Slot;
  readonly user: { readonly uid: number; readonly gid: number };
  readonly network: SandboxNetwork | undefined;
}

/**
 * Finds what a sandbox is to stand on. A snapshot is checked first: its cost is then that of reading it. Throws `not_found` for what is not here, and
 * `backend_rejected` for a snapshot that has changed.
 */
export async function baseOf(host: Host, { image }: SandboxSpec): Promise<SandboxBase> {
  if (image === "host") return {};
  const details = { phase: "create", backend: host.backend };
  if (host.withoutImages !== undefined) throw new SandboxerError("capability_unsupported", `image: ${host.withoutImages}`, details);
  if (image.startsWith("oci:")) {
    const { id, layers, inside } = host.images.find(image.slice("oci:".length));
    return { image: { id, layers, inside } };
  }
  const [, id = "", digest] = /^snapshot:([a-z0-9]+)(?:@(sha256:[0-9a-f]{64}))?$/.exec(image) ?? [];
  if (id === "") throw new SandboxerError("capability_unsupported", `image: this backend cannot start from "${image}"`, details);
  const record = await host.snapshots.verify(id, digest);
  return { snapshots: [record.id, ...record.parents], ...(record.image === undefined ? {} : { image: record.image }) };
}

/** What a record says that its sandbox stands on. */
export function baseIn({ image, snapshots }: SandboxBase): SandboxBase {
  return { ...(image === undefined ? {} : { image }), ...(snapshots === undefined ? {} : { snapshots }) };
}

/** Throws `not_found` where something of it was removed before our record was there to say that we stand on it. */
export function stillThere(host: Host, { image, snapshots = [] }: SandboxBase): void {
  if (image !== undefined && image.layers.length > 0) host.images.find(image.id);
  for (const id of snapshots) host.snapshots.find(id);
}

/** The trees it stands on, below the backend's own directory, the topmost first. */
export function layersOf({ image, snapshots = [] }: SandboxBase): string[] {
  const images = [...new Set(image?.layers.toReversed())].map((layer) => join("images", layerPath(layer)));
  return [...snapshots.map((id) => join("snapshots", id, "fs")), ...images];
}

/** Directory that all of {@link layersOf} are below. */
export function layersRoot({ images }: Host): string {
  return join(images.root, "..");
}

/** Puts together what the sandbox is made of: nothing to do for one that begins anew on the host's own programs, or that is woken. */
export async function placesOf(host: Host, { id, hostname }: SandboxSpec, { base, slot, user, network }: MadeBefore): Promise<Places> {
  const { image, snapshots } = base;
  if (image === undefined && snapshots === undefined) return { root: undefined, writable: slot.directory };
  const { directory } = slot;
  if (directory === undefined)
    throw new SandboxerError("capability_unsupported", "image: its sandbox has no disk to write to", { phase: "create" });
  const [store, layers] = [layersRoot(host), layersOf(base)];
  const found = { root: image === undefined ? undefined : slot.root, writable: image === undefined ? slot.root : undefined };
  if (mountPoints().has(slot.root)) return found;
  if (existsSync(join(directory, "upper"))) {
    // One that is woken on its disk, after a reboot.
    await mountOverlay({ store, layers, target: slot.root, disk: directory, slot: slot.number });
    return found;
  }
  if (image === undefined) {
    // Made as the host's root is: these places are all that there is.
    for (const name of ["upper", "work"]) mkdirSync(join(directory, name), { mode: 0o755 });
    await mountOverlay({ store, layers, target: slot.root, disk: directory, slot: slot.number });
    const owner = idBase(slot.number) + user.uid;
    for (const name of Object.keys(WRITABLE)) {
      const place = join(slot.root, name);
      if (name !== "vartmp" && lstatSync(place).uid !== owner) chownSync(place, owner, idBase(slot.number) + user.gid);
    }
    return found;
  }
  const destinations = (network?.mounts ?? []).map(({ destination }) => destination);
  const input = { store, layers, slot: { ...slot, directory }, inside: image.inside, user, sandboxId: id, hostname, destinations };
  await mountRoot(input);
  return found;
}

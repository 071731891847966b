import { rm } from "node:fs/promises";
import type { ImageFormat, ImageInfo, ImageProgress, ImageRemoval, Images, Op } from "../../../contract/index.ts";
import { fullReference, isImageId, SandboxerError } from "../../../contract/index.ts";
import type { FoundImage } from "./archive.ts";
import { DEFAULT_LIMITS, type ImageLimits } from "./limits.ts";
import { lock, whileLocked } from "./lock.ts";
import type { PullRequest } from "./pull.ts";
import { fetched, receive } from "./receive.ts";
import type { ImageRecord, ImageStore } from "./store.ts";
import { takeIn } from "./take-in.ts";

export interface ImagesOptions {
  readonly backend: string;
  readonly store: ImageStore;
  readonly limits?: ImageLimits;
  readonly failpoint: (name: string) => void;
  /** Sandboxes and snapshots that stand on an image, each with its image's id and layers. Throws where they cannot be read. */
  readonly users: () => { by: string; id: string; layers: readonly string[] }[];
}

type Progress = Extract<ImageProgress, { type: "progress" }>;

/** The images of this host, as the contract has them. Every change is made by one process at a time. */
export function localImages(options: ImagesOptions): Images {
  const { store, failpoint, limits = DEFAULT_LIMITS } = options;

  async function* keepAll(finding: (draft: string) => AsyncGenerator<Progress, FoundImage[], void>, named: string | undefined, op: Op): AsyncGenerator<ImageProgress> {
    const reference = named === undefined ? undefined : wholeReference(named);
    const draft = store.draft();
    try {
      const found = yield* finding(draft);
      if (reference !== undefined && found.length !== 1)
        throw new SandboxerError("invalid_request", `the archive has ${found.length} images, and one name was given`, { issues: [{ path: "reference", message: "leave it out: each keeps its own name" }] });
      const release = await lock(store.lockFile, op.signal);
      try {
        for (const image of found) {
          const record = yield* takeIn({ store, limits, failpoint, now: () => Date.now() }, image, draft, op);
          for (const name of reference === undefined ? image.references : [reference]) await store.keepName(draft, name, record.id);
          yield { type: "image", image: infoOf(options, record) };
        }
      } finally {
        release();
      }
    } finally {
      await rm(draft, { recursive: true, force: true });
    }
    yield { type: "done" };
  }

  return {
    async list() {
      const users = options.users();
      const names = store.names();
      return store.records().sort((a, b) => a.createdAt - b.createdAt).map((record) => infoOf(options, record, names, users));
    },
    import: (source: AsyncIterable<Uint8Array>, { reference, format = "auto" }: { reference?: string; format?: ImageFormat }, op) =>
      keepAll((draft) => receive(source, format, draft, limits, op), reference, op),
    pull: (request: PullRequest, op) => keepAll((draft) => fetched(request, draft, op), undefined, op),
    remove: (reference, op) => whileLocked(store.lockFile, op.signal, () => remove(options, reference)),
    prune: ({ all }, op) => whileLocked(store.lockFile, op.signal, () => prune(options, all)),
  };
} // prettier-ignore

function wholeReference(text: string): string {
  const whole = fullReference(text);
  if (whole !== undefined && !whole.includes("@")) return whole;
  throw new SandboxerError("invalid_request", `"${text}" is not a name for an image`, {
    issues: [{ path: "reference", message: 'must be such as "team/app:1.2", without a digest' }],
  });
}

function infoOf({ backend, store, users }: ImagesOptions, record: ImageRecord, names = store.names(), used = users()): ImageInfo {
  const { inside } = record;
  return {
    object: "image",
    id: record.id,
    backend,
    references: names.filter(({ id }) => id === record.id).map(({ reference }) => reference).sort(),
    layers: record.layers.length,
    size_bytes: record.bytes,
    user: `${inside.user.uid}:${inside.user.gid}`,
    workdir: inside.workdir ?? "/workspace",
    entrypoint: [...record.entrypoint],
    command: [...record.command],
    created_at: new Date(record.createdAt).toISOString(),
    used_by: used.filter(({ id }) => id === record.id).map(({ by }) => by),
  };
} // prettier-ignore

/** Takes a name away; with its last name, or by its id, the image itself. */
async function remove(options: ImagesOptions, reference: string): Promise<ImageRemoval> {
  const { store } = options;
  const record = store.find(reference);
  const own = store.names().filter(({ id }) => id === record.id).map((name) => name.reference); // prettier-ignore
  const whole = fullReference(reference) ?? "";
  if (!isImageId(reference) && own.length > 1 && own.includes(whole)) {
    store.dropName(whole);
    return { object: "image_removal", references: [whole], images: [], freed_bytes: 0 };
  }
  await dropUnused(options, record);
  for (const name of own) store.dropName(name);
  return { object: "image_removal", references: own, images: [record.id], freed_bytes: await dropLayers(options) };
}

async function prune(options: ImagesOptions, all: boolean): Promise<ImageRemoval> {
  const { store } = options;
  await store.sweep();
  const used = new Set(options.users().map(({ id }) => id));
  const names = store.names();
  const gone = store.records().filter(({ id }) => !used.has(id) && (all || !names.some((name) => name.id === id)));
  for (const record of gone) await dropUnused(options, record);
  const ids = gone.map(({ id }) => id);
  const references = names.filter(({ id }) => ids.includes(id) || store.look(id) === undefined).map(({ reference }) => reference);
  for (const reference of references) store.dropName(reference);
  return { object: "image_removal", references, images: ids, freed_bytes: await dropLayers(options) };
}

/**
 * Takes the record away where no sandbox stands on it. A create writes down what it stands on and then looks whether that is still there, so one
 * of the two sees the other. Throws `conflict` for an image in use.
 */
async function dropUnused({ store, users }: ImagesOptions, record: ImageRecord): Promise<void> {
  store.dropImage(record.id);
  const by = users().filter(({ id }) => id === record.id).map(({ by }) => by); // prettier-ignore
  if (by.length === 0) return;
  const draft = store.draft();
  await store.keepImage(draft, record);
  await rm(draft, { recursive: true, force: true });
  throw new SandboxerError("conflict", `the image is in use by ${by.slice(0, 5).join(", ")}${by.length > 5 ? ` and ${by.length - 5} more` : ""}`, {
    phase: "image",
    hint: "End those sandboxes first: 'sand-boxer rm ID'.",
  }); // prettier-ignore
}

/** Throws away layers that no image and no sandbox has; answers how many bytes were in them. */
async function dropLayers({ store, users }: ImagesOptions): Promise<number> {
  const kept = new Set([...store.records(), ...users()].flatMap(({ layers }) => layers));
  const draft = store.draft();
  let bytes = 0;
  for (const layer of store.layers()) {
    if (kept.has(layer.diffId)) continue;
    await store.dropLayer(draft, layer.diffId);
    bytes += layer.bytes;
  }
  await rm(draft, { recursive: true, force: true });
  return bytes;
}

import { mkdirSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { ImageProgress, Op } from "../../../contract/index.ts";
import type { FoundImage } from "./archive.ts";
import type { TarFile } from "./content.ts";
import { insideOf } from "./inside.ts";
import { unpackLayer } from "./layer.ts";
import { Allowance, type ImageLimits, MAX_LAYERS, refused } from "./limits.ts";
import { type ImageRecord, type ImageStore, layerPath, type LayerRecord } from "./store.ts";

/** The steps at which a test may kill the control plane, in the order in which an import passes them. */
export const IMAGE_FAILPOINTS = ["local.image.after_unpack", "local.image.after_layer", "local.image.after_record"] as const;

export interface TakeInOptions {
  readonly store: ImageStore;
  readonly limits: ImageLimits;
  readonly failpoint: (name: string) => void;
  readonly now: () => number;
}

type Progress = Extract<ImageProgress, { type: "progress" }>;

/**
 * Unpacks what of an image is not here yet and keeps it. Each layer is there for good once it is whole, so a second import after a crash goes on
 * where the first one stopped. To be called while the store is locked.
 */
export async function* takeIn(
  { store, limits, failpoint, now }: TakeInOptions,
  found: Omit<FoundImage, "references">,
  draft: string,
  op: Op,
): AsyncGenerator<Progress, ImageRecord, void> {
  if (found.layers.length === 0 || found.layers.length > MAX_LAYERS)
    throw refused(`it has ${found.layers.length} layers; from 1 to ${MAX_LAYERS} can be stacked`);
  const allowance = new Allowance(limits);
  let bytes = 0;
  for (const [at, { diffId, tar }] of found.layers.entries()) {
    op.signal.throwIfAborted();
    yield { type: "progress", step: "unpack", detail: `layer ${at + 1} of ${found.layers.length}`, bytes };
    const layer = store.layer(diffId) ?? (await unpackTo(store, tar, { draft, at, diffId, allowance, failpoint, op }));
    bytes += layer.bytes;
  }
  const layers = found.layers.map(({ diffId }) => diffId);
  const topFirst = [...new Set(layers.toReversed())].map((diffId) => join(store.root, layerPath(diffId)));
  const record: ImageRecord = {
    id: found.id,
    ...(found.manifestDigest === undefined ? {} : { manifestDigest: found.manifestDigest }),
    layers,
    bytes,
    inside: insideOf(found.config.config, topFirst),
    entrypoint: found.config.config?.Entrypoint ?? [],
    command: found.config.config?.Cmd ?? [],
    createdAt: now(),
  };
  await store.keepImage(draft, record);
  failpoint("local.image.after_record");
  return record;
}

async function unpackTo(
  store: ImageStore,
  tar: TarFile,
  { draft, at, diffId, allowance, failpoint, op }: Pick<TakeInOptions, "failpoint"> & { draft: string; at: number; diffId: string; allowance: Allowance; op: Op },
): Promise<LayerRecord> {
  const place = join(draft, `layer-${at}`);
  mkdirSync(join(place, "fs"), { recursive: true, mode: 0o755 });
  try {
    const { bytes, entries } = await unpackLayer(untilAborted(tar.read(allowance), op), join(place, "fs"), allowance);
    failpoint("local.image.after_unpack");
    const record = { diffId, bytes, entries };
    await store.keepLayer(place, record);
    failpoint("local.image.after_layer");
    return record;
  } catch (error) {
    await rm(place, { recursive: true, force: true });
    throw error;
  }
} // prettier-ignore

async function* untilAborted(source: AsyncIterable<Buffer>, { signal }: Op): AsyncGenerator<Buffer, void, undefined> {
  for await (const chunk of source) {
    signal.throwIfAborted();
    yield chunk;
  }
}

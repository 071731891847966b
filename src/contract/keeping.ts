import type { ImageFormat, ImageInfo, ImageProgress, ImageRemoval } from "./image.ts";
import type { Created, Op, Ref } from "./provider.ts";

/** What a backend keeps: sandboxes that stand still, images that they stand on, and snapshots of them. */

/** Standing still with memory and processes. Where it has this, capability `pause.memory`. */
export interface Pause {
  /** Resolves once nothing in it runs any more; commands under way go on after the resume. Safe to repeat. */
  readonly pause: (ref: Ref, op: Op) => Promise<void>;
  /** Safe to repeat, and where it was never paused. */
  readonly resume: (ref: Ref, op: Op) => Promise<void>;
}

/** Keeping the disk alone. Where it has this, capability `pause.disk`. */
export interface Suspend {
  /** Ends every process and lets go of all but the disk, of one that runs, is paused, or has stopped by itself. Safe to repeat. */
  readonly suspend: (ref: Ref, op: Op) => Promise<void>;
  /** Makes it run again on its disk, under the same handle and as confined as a create does. A disk that is gone is an empty one. */
  readonly wake: (ref: Ref, op: Op) => Promise<Created>;
}

/** Images that the backend keeps for profiles with `image: oci:<reference>`. They are the operator's: every tenant's sandboxes may stand on them. */
export interface Images {
  list(op: Op): Promise<ImageInfo[]>;
  /**
   * Takes in what an archive holds: of `docker save`, an OCI layout as a tar, or the tar of a root file system. Ends with `done`, or throws
   * and has kept nothing but layers that were whole: `invalid_request` for what is refused. `reference`: its name, where it is one image.
   */
  import(source: AsyncIterable<Uint8Array>, options: { reference?: string; format?: ImageFormat }, op: Op): AsyncIterable<ImageProgress>;
  /** Fetches one from its registry. Throws `provider_missing_dependency` where the program that does it is missing. */
  pull(
    request: { reference: string; plainHttp: boolean; credentials?: { username: string; password: string } },
    op: Op,
  ): AsyncIterable<ImageProgress>;
  /** Takes a name away, and the image with its last name or by its id. Throws `conflict` while a sandbox stands on it, `not_found`. */
  remove(reference: string, op: Op): Promise<ImageRemoval>;
  /** Removes images that have no name, or with `all` every one, where no sandbox stands on them, and layers that nobody has. */
  prune(options: { all: boolean }, op: Op): Promise<ImageRemoval>;
}

/** What was kept of a sandbox. */
export interface SnapshotMade {
  /** The snapshot that its sandbox came from; null where it began anew. */
  readonly parent: string | null;
  /** What is below: `host`, or an image's id. */
  readonly image: string;
  readonly sizeBytes: number;
  readonly entries: number;
  /** Over everything in it. */
  readonly digest: string;
}

/**
 * Snapshots of kind `disk`. A sandbox is made from one by `create` with the image `snapshot:<id>@<digest>`, which is refused where anything in it has
 * changed. They live on when their sandbox has ended.
 */
export interface Snapshots {
  /** Keeps what the sandbox has written, which stands still while that is copied. Idempotent on `id`; leaves nothing where it throws. */
  create(ref: Ref, snapshot: { id: string; tenant: string }, op: Op): Promise<SnapshotMade>;
  /** Ids of everything that is there, half-made ones too. */
  list(op: Op): Promise<string[]>;
  /** Safe to repeat. Throws `conflict` while a sandbox or another snapshot stands on it. */
  remove(id: string, op: Op): Promise<"removed" | "absent">;
  /** The whole of it as one portable file, without what the host itself brings. Throws where anything in it has changed. */
  export(id: string, op: Op): AsyncIterable<Uint8Array>;
  /** Takes in what `export` gave, here or elsewhere. Throws `invalid_request` for what is refused, and has kept nothing then. */
  import(snapshot: { id: string; tenant: string }, source: AsyncIterable<Uint8Array>, op: Op): Promise<SnapshotMade>;
}

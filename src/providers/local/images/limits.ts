import { SandboxerError } from "../../../contract/index.ts";

/** What one image may take from this host: an archive of a few kilobytes can unpack to any size. */
export interface ImageLimits {
  /** Unpacked bytes of one image, and bytes of what is sent for it. */
  readonly bytes: number;
  /** Entries of one image over all layers. */
  readonly entries: number;
}

export const DEFAULT_LIMITS: ImageLimits = { bytes: 32 * 1024 ** 3, entries: 2_000_000 };

/** Overlayfs takes more, but no builder makes more. */
export const MAX_LAYERS = 127;

/** An archive that cannot be an image, or must not be one. */
export function refused(why: string, cause?: unknown): SandboxerError {
  return new SandboxerError("invalid_request", `the image is refused: ${why}`, {
    phase: "image",
    hint: "Make it with a current builder, or find out who made it: nothing of it was kept.",
    ...(cause === undefined ? {} : { cause }),
  });
}

/** What is left of an image's limits while it is unpacked. Throws where one is passed. */
export class Allowance {
  #bytes: number;
  #entries: number;

  constructor({ bytes, entries }: ImageLimits) {
    this.#bytes = bytes;
    this.#entries = entries;
  }

  takeBytes(count: number): void {
    this.#bytes -= count;
    if (this.#bytes < 0) throw refused("unpacked it is larger than this backend allows (option images.max_bytes)");
  }

  takeEntry(): void {
    if (--this.#entries < 0) throw refused("it has more entries than this backend allows (option images.max_entries)");
  }
}

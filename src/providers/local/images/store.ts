import { isMissingOrHalf } from "../half-written.ts";
import { createHash, randomUUID } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { fullReference, isImageId, nearest, SandboxerError } from "../../../contract/index.ts";
import { identify, isAlive, type ProcessIdentity } from "../process-tree.ts";
import { runOk } from "../run.ts";
import type { Inside } from "./inside.ts";

/** An image as it is kept. */
export interface ImageRecord {
  readonly id: string;
  readonly manifestDigest?: string;
  /** Lowest first. */
  readonly layers: readonly string[];
  readonly bytes: number;
  readonly inside: Inside;
  readonly entrypoint: readonly string[];
  readonly command: readonly string[];
  readonly createdAt: number;
}

/** What was unpacked into a layer. Stands beside it, and only when it is whole. */
export interface LayerRecord {
  readonly diffId: string;
  readonly bytes: number;
  readonly entries: number;
}

/** A draft whose maker has not said yet who it is may be this old. */
const UNNAMED_MS = 60_000;

/**
 * The images of one data directory. `layers/<diff id>/fs` is a layer, unpacked once for all; `records/` the images, `names/` the
 * references that lead to them, `drafts/` what is being made. All but the drafts came there by one rename, when it was whole.
 */
export class ImageStore {
  /** Holds the layers' directory; sandboxes' overlays are mounted from here. */
  readonly root: string;

  constructor(root: string) {
    this.root = root;
  }

  get lockFile(): string {
    this.#make();
    return join(this.root, "lock");
  }

  #make(): void {
    for (const name of ["", "layers", "records", "names", "drafts"]) mkdirSync(join(this.root, name), { recursive: true, mode: 0o700 });
  }

  /** Every image. Throws where the directory cannot be read. */
  records(): ImageRecord[] {
    return this.#documents<ImageRecord>("records");
  }

  /** Whole references, each with the id of its image. */
  names(): { reference: string; id: string }[] {
    return this.#documents<{ reference: string; id: string }>("names");
  }

  layers(): LayerRecord[] {
    return this.#listed("layers").map((name) => readJson(join(this.root, "layers", name, "layer.json")) as LayerRecord);
  }

  layer(diffId: string): LayerRecord | undefined {
    const file = join(this.root, layerPath(diffId), "..", "layer.json");
    return existsSync(file) ? (readJson(file) as LayerRecord) : undefined;
  }

  /** The image that a reference or an id leads to; throws `not_found`. */
  find(reference: string): ImageRecord {
    const found = this.look(reference);
    if (found !== undefined) return found;
    const names = this.names().map((name) => name.reference);
    const near = nearest(fullReference(reference) ?? reference, names);
    throw new SandboxerError("not_found", `there is no image "${reference}" on this host${near === undefined ? "" : `; nearest: "${near}"`}`, {
      phase: "image",
      hint: `Get it with 'sand-boxer image pull ${reference}' or 'sand-boxer image import', and look with 'sand-boxer image ls'.`,
    });
  } // prettier-ignore

  look(reference: string): ImageRecord | undefined {
    if (isImageId(reference)) return this.#record(reference);
    const whole = fullReference(reference);
    if (whole === undefined) return undefined;
    const digest = whole.split("@")[1];
    if (digest !== undefined) return this.records().find(({ id, manifestDigest }) => id === digest || manifestDigest === digest);
    const file = join(this.root, "names", nameFile(whole));
    return existsSync(file) ? this.#record((readJson(file) as { id: string }).id) : undefined;
  }

  #record(id: string): ImageRecord | undefined {
    const file = join(this.root, "records", recordFile(id));
    return existsSync(file) ? (readJson(file) as ImageRecord) : undefined;
  }

  /** Makes a directory for what is not whole yet; it says whose it is, so that a sweep leaves it alone while its maker lives. */
  draft(): string {
    this.#make();
    const directory = join(this.root, "drafts", randomUUID());
    mkdirSync(directory, { mode: 0o700 });
    writeFileSync(join(directory, "maker"), JSON.stringify(identify(process.pid)));
    return directory;
  }

  /** Puts an unpacked layer in its place, after it is on the disk. */
  async keepLayer(draft: string, record: LayerRecord): Promise<void> {
    writeFileSync(join(draft, "layer.json"), JSON.stringify(record));
    await runOk(["sync", "-f", draft], { timeoutMs: 600_000 });
    await rename(draft, join(this.root, layerPath(record.diffId), ".."));
  }

  async keepImage(draft: string, record: ImageRecord): Promise<void> {
    await this.#keep(draft, join("records", recordFile(record.id)), record);
  }

  async keepName(draft: string, reference: string, id: string): Promise<void> {
    await this.#keep(draft, join("names", nameFile(reference)), { reference, id });
  }

  async #keep(draft: string, to: string, value: object): Promise<void> {
    const file = join(draft, "document");
    writeFileSync(file, JSON.stringify(value));
    await runOk(["sync", file]);
    renameSync(file, join(this.root, to));
    await runOk(["sync", join(this.root, to, "..")]);
  }

  dropName(reference: string): void {
    rmSync(join(this.root, "names", nameFile(reference)), { force: true });
  }

  dropImage(id: string): void {
    rmSync(join(this.root, "records", recordFile(id)), { force: true });
  }

  /** Takes a layer out of sight by one rename, then throws it away. */
  async dropLayer(draft: string, diffId: string): Promise<void> {
    const away = join(draft, diffId.slice("sha256:".length));
    await rename(join(this.root, layerPath(diffId), ".."), away);
    await rm(away, { recursive: true, force: true });
  }

  /** Removes what makers that are dead have left. */
  async sweep(): Promise<void> {
    for (const name of this.#listed("drafts")) {
      const directory = join(this.root, "drafts", name);
      if (!isAbandoned(directory)) continue;
      await rm(directory, { recursive: true, force: true });
    }
  }

  #listed(name: string): string[] {
    const directory = join(this.root, name);
    return existsSync(directory) ? readdirSync(directory) : [];
  }

  #documents<T>(name: string): T[] {
    return this.#listed(name).filter((file) => file.endsWith(".json")).map((file) => (readJson(join(this.root, name, file)) as T));
  } // prettier-ignore
}

/** A layer's tree, below the store. */
export function layerPath(diffId: string): string {
  return join("layers", diffId.slice("sha256:".length), "fs");
}

function isAbandoned(directory: string): boolean {
  const file = join(directory, "maker");
  try {
    return !isAlive(readJson(file) as ProcessIdentity);
  } catch (error) {
    // Its maker has not written it yet, or died before.
    if (!isMissingOrHalf(error)) throw error;
    const made = statSync(directory, { throwIfNoEntry: false })?.mtimeMs ?? Date.now();
    return Date.now() - made > UNNAMED_MS;
  }
}

function recordFile(id: string): string {
  return `${id.slice("sha256:".length)}.json`;
}

function nameFile(reference: string): string {
  return `${createHash("sha256").update(reference).digest("hex")}.json`;
}

function readJson(file: string): unknown {
  return JSON.parse(readFileSync(file, "utf8"));
}

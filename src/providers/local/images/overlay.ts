import { mkdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { SandboxerError } from "../../../contract/index.ts";
import { idBase, IDS_PER_SANDBOX } from "../disk/slot.ts";
import { runOk } from "../run.ts";

/** Beside the sources and beside the build alike. */
const PROGRAM = fileURLToPath(new URL("../../../../native/overlay.pl", import.meta.url));

const HELPER = ["perl", PROGRAM, process.arch === "arm64" ? "1" : "0"];

/** What a layer says of those below it: that a name is gone, or all that a directory had. */
export interface OverlayMark {
  readonly kind: "whiteout" | "opaque";
  /** Below the layer; one character a byte. */
  readonly path: string;
}

/** Writes a layer's marks into its directory, through real directories only. */
export async function markOverlay(directory: string, marks: readonly OverlayMark[]): Promise<void> {
  if (marks.length === 0) return;
  const input = marks.map(({ kind, path }) => `${kind === "whiteout" ? "w" : "o"}${path}\0`).join("");
  await runOk([...HELPER, "marks", directory], { input: Buffer.from(input, "latin1"), timeoutMs: 300_000 });
}

/** All that {@link runOk} keeps of what a program says. */
const MAX_ATTRIBUTES = 8 * 1024 ** 2;

/** What the overlay and the user have attached to entries of a tree, as one text an entry, by its path below the directory. */
export async function readAttributes(directory: string): Promise<ReadonlyMap<string, string>> {
  const text = await runOk([...HELPER, "attributes", directory], { timeoutMs: 300_000, encoding: "latin1" });
  if (text.length >= MAX_ATTRIBUTES) throw new SandboxerError("backend_rejected", "its files have more than 8 MiB of extended attributes");
  const fields = text.split("\0");
  const found = new Map<string, string>();
  for (let at = 0; at + 2 < fields.length; at += 3) {
    const path = (fields[at] ?? "").replace(/^\.\/?/, "");
    found.set(path, `${found.get(path) ?? ""}${fields[at + 1] ?? ""}=${fields[at + 2] ?? ""};`);
  }
  return found;
}

/** Mounts layers as they are, to be read, with their owners on the disk. Two at the least. */
export async function mountReadOnly({ store, layers, target }: Pick<OverlayInput, "store" | "layers" | "target">): Promise<void> {
  mkdirSync(target, { recursive: true, mode: 0o700 });
  await runOk([...HELPER, "mount", "0", String(IDS_PER_SANDBOX), store, target, "-", ...layers]);
}

export interface OverlayInput {
  /** Directory that holds all layers. */
  readonly store: string;
  /** The layers below it, the topmost first. */
  readonly layers: readonly string[];
  /** Where it is mounted; made if it is not there. */
  readonly target: string;
  /** Directory with `upper` and `work`. */
  readonly disk: string;
  readonly slot: number;
}

/**
 * Mounts the layers and what is written above them as one tree, about 10 ms. The layers' owners are the slot's ids there, whatever
 * number of sandboxes share them.
 */
export async function mountOverlay({ store, layers, target, disk, slot }: OverlayInput): Promise<void> {
  mkdirSync(target, { recursive: true, mode: 0o711 });
  await runOk([...HELPER, "mount", String(idBase(slot)), String(IDS_PER_SANDBOX), store, target, disk, ...layers]);
}

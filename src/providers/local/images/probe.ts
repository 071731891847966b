import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { SandboxerError } from "../../../contract/index.ts";
import { discardRoot } from "../disk/image.ts";
import { identify } from "../process-tree.ts";
import { mountOverlay } from "./overlay.ts";

/** Why no sandbox stands on an image where sandboxes have no disks of their own. */
export const WITHOUT_DISKS = "images need disks with a quota: root, loop devices, and not disk: tmpfs in the backend's options";

/**
 * Why sandboxes cannot stand on images on this host; undefined where they can. Tried for real, about 15 ms: kernels and file systems differ in
 * whether a layer can have other owners than on the disk.
 */
export async function missingForImages(directory: string): Promise<string | undefined> {
  await removeOldTrials(directory);
  const trial = join(directory, `overlay-trial-${process.pid}`);
  const target = join(trial, "target");
  try {
    for (const name of ["layer", "upper", "work"]) mkdirSync(join(trial, name), { recursive: true, mode: 0o700 });
    writeFileSync(join(trial, "layer", "file"), "");
    await mountOverlay({ store: trial, layers: ["layer"], target, disk: trial, slot: 0 });
    return undefined;
  } catch (error) {
    return `this host cannot mount images: ${SandboxerError.from(error).message}`;
  } finally {
    await discardRoot(target);
    await rm(trial, { recursive: true, force: true });
  }
}

/** What a process that was killed in the middle of its trial has left. */
async function removeOldTrials(directory: string): Promise<void> {
  for (const name of readdirSync(directory)) {
    const pid = /^overlay-trial-(\d+)$/.exec(name)?.[1];
    if (pid === undefined || identify(Number(pid)) !== undefined) continue;
    await discardRoot(join(directory, name, "target"));
    await rm(join(directory, name), { recursive: true, force: true });
  }
}

import { readFileSync, statSync } from "node:fs";
import { isAlive, type ProcessIdentity } from "./process-tree.ts";

/** What was begun longer ago than this by a process that nobody knows is given up. */
const ABANDONED_AFTER_MS = 60_000;

/** Whether who wrote itself into the marker at `path` may still make what it stands for: it runs, and has not been at it for long. */
export function isBeingMade(path: string): boolean {
  const age = Date.now() - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Date.now());
  if (age > ABANDONED_AFTER_MS) return false;
  try {
    return isAlive(JSON.parse(readFileSync(path, "utf8")) as ProcessIdentity);
  } catch {
    // Finished meanwhile, or its maker died between making and filling the marker: its age decides.
    return true;
  }
}

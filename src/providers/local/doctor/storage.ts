import { existsSync, statfsSync } from "node:fs";
import { dirname } from "node:path";
import type { Finding } from "../../../contract/finding.ts";
import { formatBytes } from "../../../contract/index.ts";
import { blockedPassage } from "../data-path.ts";
import { flaw, well } from "./report.ts";

const GiB = 1024 ** 3;

/** Below this no sandbox is made. */
const TOO_LITTLE = GiB / 4;

const COMFORTABLE = 2 * GiB;

const FEW_INODES = 10_000;

/** The directory itself, or the nearest one above it that is there. */
export function nearestDirectory(directory: string): string {
  return existsSync(directory) || directory === dirname(directory) ? directory : nearestDirectory(dirname(directory));
}

/** The way to the provider's directory, and the room on its disk. */
export function examineStorage(directory: string, root: boolean): Finding[] {
  return [...(root ? [passage(directory)] : []), ...room(nearestDirectory(directory))];
}

function passage(directory: string): Finding {
  const blocked = blockedPassage(directory);
  if (blocked === undefined) return well("data.passage", "the way to the data directory is open to sandboxes' users", directory);
  const { path, mode } = blocked;
  const detail = `mode 0${mode.toString(8)}: sandboxes run as users of their own, who must be able to pass through (not to list); or put the data directory elsewhere`;
  return flaw(
    "error",
    "data.passage",
    `${path} keeps sandboxes from the data directory`,
    detail,
    `chmod o+x '${path.replaceAll("'", "'\\''")}'`,
  );
}

function room(directory: string): Finding[] {
  const { bavail, bsize, files, ffree } = statfsSync(directory);
  const free = bavail * bsize;
  const findings: Finding[] = [];
  if (free < TOO_LITTLE)
    findings.push(flaw("error", "data.space", `${formatBytes(free)} free in ${directory}`, "no sandbox is made below 256 MiB"));
  else if (free < COMFORTABLE)
    findings.push(
      flaw(
        "warn",
        "data.space",
        `${formatBytes(free)} free in ${directory}`,
        "sandboxes' disks take their room there when they are written to",
      ),
    );
  else findings.push(well("data.space", `${formatBytes(free)} free`, directory));
  if (files > 0 && ffree < FEW_INODES) findings.push(flaw("warn", "data.inodes", `room for ${ffree} more files only in ${directory}`, ""));
  return findings;
}

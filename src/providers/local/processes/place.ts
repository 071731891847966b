import { existsSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { checkedName, directoryOf, type Host, scratchOf } from "../host.ts";
import { hasStarted } from "./state.ts";

/**
 * Where the files of one background process are: in memory while it runs and for a while after, since on a busy disk each of them would
 * cost the command milliseconds; then on the disk, where a long journal goes on while it runs. Its shim moves them, whole, so that they are in one of both places.
 */
export class ProcessPlace {
  readonly inMemory: string;
  readonly onDisk: string;

  /** Throws `invalid_request` for an id that could lead elsewhere. */
  constructor(host: Host, sandboxId: string, id: string) {
    const name = checkedName(id, "process");
    this.inMemory = join(inMemory(host, sandboxId), name);
    this.onDisk = join(onDisk(host, sandboxId), name);
  }

  /** The directory at this moment; that of one that is nowhere is not there. */
  get directory(): string {
    return existsSync(this.inMemory) ? this.inMemory : this.onDisk;
  }

  remove(): void {
    for (const directory of [this.onDisk, this.inMemory]) rmSync(directory, { recursive: true, force: true });
  }
}

/** The processes of a sandbox that were started, oldest first. Throws where a directory cannot be read. */
export function processesOf(host: Host, sandboxId: string): ProcessPlace[] {
  const here = existsSync(inMemory(host, sandboxId)) ? readdirSync(inMemory(host, sandboxId)) : [];
  // In this order: one that is moved between the two looks is seen by both.
  const ids = new Set([...here, ...readdirSync(onDisk(host, sandboxId))]);
  return [...ids]
    .filter((id) => !id.includes("."))
    .sort()
    .map((id) => new ProcessPlace(host, sandboxId, id))
    .filter(({ directory }) => hasStarted(directory));
}

function inMemory(host: Host, sandboxId: string): string {
  return join(scratchOf(host, sandboxId), "processes");
}

function onDisk(host: Host, sandboxId: string): string {
  return directoryOf(host, sandboxId).file("processes");
}

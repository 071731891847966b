import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { BoundaryConfig } from "./wire.ts";

/** Where the boundary of a data directory keeps what it knows, 0700. */
export function boundaryDirectory(dataDirectory: string): string {
  return join(dataDirectory, "boundary");
}

export function socketPath(dataDirectory: string): string {
  return join(boundaryDirectory(dataDirectory), "control.sock");
}

/** Held by the process that runs, for as long as it does. */
export function lockPath(dataDirectory: string): string {
  return join(boundaryDirectory(dataDirectory), "lock");
}

/** What it writes on standard error. */
export function logPath(dataDirectory: string): string {
  return join(boundaryDirectory(dataDirectory), "log");
}

/** What the next process starts with; none where nothing was written. */
export function readConfig(directory: string): BoundaryConfig {
  try {
    return JSON.parse(readFileSync(join(directory, "config.json"), "utf8")) as BoundaryConfig;
  } catch (thrown) {
    if (thrown instanceof Error && "code" in thrown && thrown.code === "ENOENT") return {};
    throw thrown;
  }
}

export function writeConfig(directory: string, config: BoundaryConfig): void {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const path = join(directory, "config.json");
  writeFileSync(`${path}.${process.pid}`, JSON.stringify(config), { mode: 0o600 });
  renameSync(`${path}.${process.pid}`, path);
}

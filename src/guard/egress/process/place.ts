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

/** As many of the control plane's addresses as are remembered: a server on a port of the system's choice has another one each time. */
const CLOSED_KEPT = 256;

/** What no sandbox may reach, as the last process was told: in force before anybody has called this one. */
export function readClosed(directory: string): string[] {
  return (readJson(join(directory, "closed.json")) ?? []) as string[];
}

export function writeClosed(directory: string, closed: readonly string[]): void {
  replace(join(directory, "closed.json"), closed.slice(-CLOSED_KEPT));
}

/** What the next process starts with; none where nothing was written. */
export function readConfig(directory: string): BoundaryConfig {
  return readJson(join(directory, "config.json")) ?? {};
}

export function writeConfig(directory: string, config: BoundaryConfig): void {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  replace(join(directory, "config.json"), config);
}

function readJson(path: string): object | undefined {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as object;
  } catch (thrown) {
    if (thrown instanceof Error && "code" in thrown && thrown.code === "ENOENT") return undefined;
    throw thrown;
  }
}

/** Whole or not at all. */
function replace(path: string, value: unknown): void {
  writeFileSync(`${path}.${process.pid}`, JSON.stringify(value), { mode: 0o600 });
  renameSync(`${path}.${process.pid}`, path);
}

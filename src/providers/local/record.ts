import { mkdirSync, readFileSync, readdirSync, renameSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { IsolationLevel, Ref, SandboxSpec } from "../../contract/index.ts";
import { SandboxerError } from "../../contract/index.ts";
import type { ProcessIdentity } from "./process-tree.ts";
import type { RuntimeName } from "./runtime.ts";

/**
 * What stands about a sandbox on disk, in `sandboxes/<id>/sandbox.json`: the label on its objects. It is written before the first
 * of them is made, and again when it runs.
 */
export interface SandboxRecord {
  readonly spec: SandboxSpec;
  readonly runtime: RuntimeName;
  readonly level: IsolationLevel;
  readonly slot: number;
  readonly cgroupsPath: string;
  /** PID 1 as the host sees it; undefined until it runs. */
  readonly init?: ProcessIdentity;
  /** Seconds that PID 1 was given to live. */
  readonly lifeSeconds?: number;
  readonly notes: readonly string[];
  /** There is its disk and nothing else, or it is being brought there, or back. */
  readonly suspended?: boolean;
}

/** Shims write on for a moment after their processes were killed: until a directory is gone, into which they make nothing new. */
export const REMOVAL = { recursive: true, force: true, maxRetries: 30, retryDelay: 5 } as const;

/** Paths of one sandbox's own directory. */
export class SandboxDirectory {
  readonly path: string;

  constructor(sandboxes: string, id: string) {
    this.path = join(sandboxes, id);
  }

  file(...parts: string[]): string {
    return join(this.path, ...parts);
  }

  /** Makes the directory. Others may pass through it, not list it: the sandbox's own mounts lead there. */
  create(): void {
    mkdirSync(this.path, { recursive: true, mode: 0o711 });
    mkdirSync(this.file("processes"), { recursive: true, mode: 0o700 });
  }

  write(record: SandboxRecord): void {
    const draft = this.file("sandbox.json.draft");
    writeFileSync(draft, JSON.stringify(record), { mode: 0o600 });
    renameSync(draft, this.file("sandbox.json"));
  }

  /** The record, or undefined where there is none (a create that died at its first step). */
  read(): SandboxRecord | undefined {
    let text: string;
    try {
      text = readFileSync(this.file("sandbox.json"), "utf8");
    } catch (error) {
      if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
      throw error;
    }
    return JSON.parse(text) as SandboxRecord;
  }

  remove(): Promise<void> {
    return rm(this.path, REMOVAL);
  }
}

export function refOf({ spec }: SandboxRecord): Ref {
  return { id: spec.id, tenant: spec.tenant, generation: spec.generation, native: spec.id, maxLifeAt: spec.maxLifeAt };
}

/** Ids of the sandboxes that have a directory. Throws `backend_unavailable` where it cannot be read. */
export function recordedIds(sandboxes: string): string[] {
  try {
    return readdirSync(sandboxes).filter((name) => /^[a-z0-9]+$/.test(name));
  } catch (cause) {
    throw new SandboxerError("backend_unavailable", "the directory of sandboxes cannot be read", { cause, phase: "list" });
  }
}

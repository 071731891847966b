import { createHash } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, readFileSync, renameSync } from "node:fs";
import { join } from "node:path";
import type { SandboxSpec } from "../../contract/index.ts";
import type { Runtime } from "./runtime.ts";
import { type SeccompOptions, seccompProfile } from "../shared/seccomp.ts";

/**
 * System call filters as crun compiled them, by what they were compiled from. crun leaves the compiled one in the state of each
 * sandbox, for its execs; it is copied from there once.
 */

/** What a sandbox's filter is made from: who may write to the host's own files makes no program there that runs as somebody else. */
export function filterFor({ allowPtrace, workspace }: Pick<SandboxSpec, "allowPtrace" | "workspace">): SeccompOptions {
  return { ptrace: allowPtrace, arch: process.arch, setId: workspace?.access !== "rw" };
}

function fileFor(directory: string, runtime: Runtime, options: SeccompOptions): string {
  const source = JSON.stringify([runtime.program, runtime.version, seccompProfile(options)]);
  return join(directory, `${createHash("sha256").update(source).digest("hex")}.bpf`);
}

/** Filters read before: a few KiB each, and the same for every sandbox. */
const known = new Map<string, string>();

/** The compiled filter in base64; undefined where there is none yet, or the runtime takes none. */
export function compiledFilter(directory: string, runtime: Runtime, options: SeccompOptions): string | undefined {
  if (runtime.name !== "crun") return undefined;
  const file = fileFor(directory, runtime, options);
  // Whoever took the file away wants it made anew.
  const found = existsSync(file) ? (known.get(file) ?? readFilter(file)) : undefined;
  if (found !== undefined) known.set(file, found);
  return found;
}

function readFilter(file: string): string | undefined {
  try {
    return readFileSync(file).toString("base64");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
}

/** Keeps what crun compiled for a sandbox that was just made without a compiled filter. */
export function keepCompiledFilter(directory: string, runtime: Runtime, options: SeccompOptions, sandboxId: string): void {
  if (runtime.name !== "crun") return;
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const file = fileFor(directory, runtime, options);
  try {
    copyFileSync(join(runtime.root, sandboxId, "seccomp.bpf"), `${file}.${process.pid}`);
    renameSync(`${file}.${process.pid}`, file);
  } catch (error) {
    // Another version of crun may keep it elsewhere: then it compiles each time.
    if (!(error instanceof Error && "code" in error && error.code === "ENOENT")) throw error;
  }
}

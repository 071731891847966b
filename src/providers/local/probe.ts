import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { release } from "node:os";
import { join } from "node:path";
import type { IsolationLevel, Op, SandboxSpec } from "../../contract/index.ts";
import { ISOLATION_LEVELS, newId, SandboxerError } from "../../contract/index.ts";
import { createSandbox } from "./create.ts";
import { destroySandbox } from "./destroy.ts";
import { execCommand } from "./exec.ts";
import type { Host } from "./host.ts";
import { findProgram, knownFlaws, type Runtime, RUNTIMES, type RuntimeName, runtimeVersion } from "./runtime.ts";

/** What was found of one runtime, by starting a real sandbox with it. */
export interface Probed {
  readonly name: RuntimeName;
  readonly level: IsolationLevel;
  /** undefined: not on this host. */
  readonly runtime?: Runtime;
  readonly works: boolean;
  /** Why it does not work. */
  readonly reason?: string;
  readonly notes: readonly string[];
}

/** Part of the cache's key: what a probe looks at has changed when this does. */
const PROBE_FORM = 1;

const MiB = 1024 ** 2;

/** A sandbox that ends by itself soon, should the probe be interrupted. */
function probeSpec(level: IsolationLevel): SandboxSpec {
  return {
    id: newId("sandbox"),
    tenant: "probe",
    generation: 0,
    image: "host",
    hostname: "probe",
    env: {},
    resources: { cpu: 1, memoryBytes: 256 * MiB, diskBytes: 64 * MiB, inodes: 1024, pids: 64 },
    isolationMin: level,
    allowPtrace: false,
    maxLifeAt: Date.now() + 60_000,
    metadata: {},
  };
}

/**
 * Tries every runtime there is: makes a sandbox with the whole hardening, reads back what the kernel gave it, runs a command in it, and
 * ends it. About 50 ms for crun, 0.5 s for runsc; kept until the next boot, or until a runtime's program changes.
 */
export async function probeRuntimes(bare: Omit<Host, "levels">, stateRoot: string, cacheFile: string, op: Op): Promise<Probed[]> {
  const found = await findRuntimes(stateRoot);
  const key = cacheKey(found);
  const cached = readCache(cacheFile, key);
  if (cached !== undefined) return cached;
  const probed: Probed[] = [];
  for (const [name, runtime] of found) probed.push(await probeRuntime(bare, name, runtime, op));
  writeFileSync(cacheFile, JSON.stringify({ key, probed }), { mode: 0o600 });
  return probed;
}

/** Forgets what was probed. */
export function forgetProbes(cacheFile: string): void {
  rmSync(cacheFile, { force: true });
}

async function findRuntimes(stateRoot: string): Promise<Map<RuntimeName, Runtime | undefined>> {
  const found = new Map<RuntimeName, Runtime | undefined>();
  for (const name of Object.keys(RUNTIMES) as RuntimeName[]) {
    const program = await findProgram(name);
    const root = join(stateRoot, name);
    found.set(name, program === undefined ? undefined : { name, program, version: "", root });
  }
  return found;
}

function cacheKey(found: ReadonlyMap<RuntimeName, Runtime | undefined>): string {
  const programs = [...found.values()].map((runtime) => {
    if (runtime === undefined) return null;
    const { mtimeMs, size } = statSync(runtime.program);
    return [runtime.program, mtimeMs, size];
  });
  const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  const mounts = readFileSync("/proc/self/mountinfo", "utf8").split("\n").filter((line) => / - cgroup2? /.test(line)).length; // prettier-ignore
  return JSON.stringify([PROBE_FORM, boot, release(), mounts, programs]);
}

function readCache(file: string, key: string): Probed[] | undefined {
  try {
    const cache = JSON.parse(readFileSync(file, "utf8")) as { key: string; probed: Probed[] };
    return cache.key === key ? cache.probed : undefined;
  } catch {
    // Not there, or cut short by a crash: probing again is always right.
    return undefined;
  }
}

async function probeRuntime(bare: Omit<Host, "levels">, name: RuntimeName, found: Runtime | undefined, op: Op): Promise<Probed> {
  const { level, debianPackage } = RUNTIMES[name];
  if (found === undefined) return { name, level, works: false, reason: `not installed (package ${debianPackage})`, notes: [] };
  const version = await runtimeVersion(found.program);
  if (version === undefined) return { name, level, works: false, reason: `${found.program} does not run`, notes: [] };
  const runtime = { ...found, version };
  mkdirSync(runtime.root, { recursive: true, mode: 0o711 });
  const notes = [...RUNTIMES[name].notes, ...knownFlaws(name, version)];
  const host: Host = { ...bare, levels: [{ level, runtime, notes }] };
  const spec = probeSpec(level);
  try {
    const { ref } = await createSandbox(host, spec, op);
    const command = { id: newId("exec"), run: { argv: ["true"] }, timeoutMs: 20_000 };
    for await (const event of execCommand(host, ref, command, { stdin: { kind: "none" }, maxOutputBytes: 4096 }, op)) {
      if (event.type === "exited" && event.exitCode !== 0) throw new SandboxerError("backend_unavailable", `a command in it answered ${event.exitCode ?? event.outcome}`);
    }
    return { name, level, runtime, works: true, notes };
  } catch (error) {
    return { name, level, runtime, works: false, reason: SandboxerError.from(error).message, notes };
  } finally {
    await destroySandbox(host, spec.id);
  }
}

/** The best working runtime of each level, weakest level first. Within a level the order of {@link RUNTIMES} is the preference. */
export function bestPerLevel(probed: readonly Probed[]): Host["levels"] {
  return ISOLATION_LEVELS.flatMap((level) => {
    const best = probed.find((candidate) => candidate.level === level && candidate.works);
    return best?.runtime === undefined ? [] : [{ level, runtime: best.runtime, notes: best.notes }];
  });
}

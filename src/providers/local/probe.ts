import { mkdirSync } from "node:fs";
import type { IsolationLevel, Op, SandboxSpec } from "../../contract/index.ts";
import { ISOLATION_LEVELS, newId, SandboxerError } from "../../contract/index.ts";
import { createSandbox } from "./create.ts";
import { destroySandbox } from "./destroy.ts";
import { execCommand } from "./exec.ts";
import type { Host, Level } from "./host.ts";
import { missingForEgress } from "./network/probe.ts";
import { identify, isAlive, type ProcessIdentity } from "./process-tree.ts";
import type { SandboxRecord } from "./record.ts";
import { knownFlaws, type Runtime, RUNTIMES, type RuntimeName, runtimeVersion } from "./runtime.ts";

/** A host of which it is not known yet what works on it. */
export type BareHost = Omit<Host, "levels" | "egressLevels" | "withoutEgress">;

/** What was found of one runtime, by starting a real sandbox with it. */
export interface Probed {
  readonly name: RuntimeName;
  readonly level: IsolationLevel;
  /** undefined: not on this host. */
  readonly runtime?: Runtime;
  readonly works: boolean;
  /** Why it does not work. */
  readonly reason?: string;
  /** Why it works, but not with egress. */
  readonly withoutEgress?: string;
  readonly notes: readonly string[];
}

const MiB = 1024 ** 2;

const WITHOUT_ROOT = [
  "without root nothing limits CPU, memory or processes; files are in memory",
  "without root the sandbox's user can stop its own max_life clock; the control plane's still holds",
];

/** No tenant's name: none may start with a dot. */
const PROBE_TENANT = ".probe";

/** A sandbox that ends by itself soon, should the probe be interrupted. */
function probeSpec(level: IsolationLevel): SandboxSpec {
  return {
    id: newId("sandbox"),
    tenant: PROBE_TENANT,
    generation: 0,
    image: "host",
    hostname: "probe",
    env: {},
    resources: { cpu: 1, memoryBytes: 256 * MiB, diskBytes: 64 * MiB, inodes: 1024, pids: 64 },
    isolationMin: level,
    allowPtrace: false,
    maxLifeAt: Date.now() + 60_000,
    // Who tries it: what a dead process was trying is an orphan.
    metadata: { prober: JSON.stringify(identify(process.pid)) },
  };
}

/** Whether a record is that of a runtime's trial which goes on: not a sandbox, and nobody else's to end. */
export function isBeingProbed({ spec }: SandboxRecord): boolean {
  const { prober } = spec.metadata;
  return spec.tenant === PROBE_TENANT && prober !== undefined && isAlive(JSON.parse(prober) as ProcessIdentity);
}

/** A runtime that takes longer than this for one sandbox hangs. */
const ANSWERS_WITHIN_MS = 30_000;

/**
 * Tries a runtime: makes a sandbox with the whole hardening, reads back what the kernel gave it, runs a command in it, and ends it; then one
 * with egress. About 0.1 s for crun, 0.8 s for runsc.
 */
export async function probeRuntime(bare: BareHost, name: RuntimeName, found: Runtime | undefined): Promise<Probed> {
  const { debianPackage } = RUNTIMES[name];
  const level = bare.rootless === undefined ? RUNTIMES[name].level : "process";
  if (found === undefined) return { name, level, works: false, reason: `not installed (package ${debianPackage})`, notes: [] };
  const version = await runtimeVersion(found.program);
  if (version === undefined) return { name, level, works: false, reason: `${found.program} does not run`, notes: [] };
  const runtime = { ...found, version };
  mkdirSync(runtime.root, { recursive: true, mode: 0o711 });
  const notes = [...(bare.rootless === undefined ? [] : WITHOUT_ROOT), ...RUNTIMES[name].notes, ...knownFlaws(name, version)];
  const levels = [{ level, runtime, notes }];
  const host: Host = { ...bare, levels, egressLevels: levels, withoutEgress: new Map(), runtimes: new Map([[name, runtime]]) };
  const op: Op = { signal: AbortSignal.timeout(ANSWERS_WITHIN_MS), log: bare.log };
  const spec = probeSpec(level);
  try {
    const { ref } = await createSandbox(host, spec, op);
    const command = { id: newId("exec"), run: { argv: ["true"] }, timeoutMs: 20_000 };
    for await (const event of execCommand(host, ref, command, { stdin: { kind: "none" }, maxOutputBytes: 4096 }, op)) {
      if (event.type === "exited" && event.exitCode !== 0)
        throw new SandboxerError("backend_unavailable", `a command in it answered ${event.exitCode ?? event.outcome}`);
    }
    await destroySandbox(host, spec.id);
    const missing = await missingForEgress(host, probeSpec(level), op);
    return { name, level, runtime, works: true, notes, ...(missing === undefined ? {} : { withoutEgress: missing }) };
  } catch (error) {
    return { name, level, runtime, works: false, reason: SandboxerError.from(error).message, notes };
  } finally {
    await destroySandbox(host, spec.id);
  }
}

/** The best working runtime of each level, weakest level first. Within a level the first that works is the best. */
export function bestPerLevel(probed: readonly Probed[]): Level[] {
  return ISOLATION_LEVELS.flatMap((level) => {
    const best = probed.find((candidate) => candidate.level === level && candidate.works);
    return best?.runtime === undefined ? [] : [{ level, runtime: best.runtime, notes: best.notes }];
  });
}

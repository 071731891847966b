import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Created, Op, SandboxSpec } from "../../contract/index.ts";
import { meetsIsolation, SandboxerError } from "../../contract/index.ts";
import { throwIfAborted, whyAborted } from "./abort.ts";
import { ociConfig } from "./bundle.ts";
import { destroySandbox } from "./destroy.ts";
import type { Slot } from "./disk/slot.ts";
import { cgroupOf, directoryOf, type Host, hostUser, type Level, scratchOf } from "./host.ts";
import { missingNetwork } from "./network/network.ts";
import { initProcess, userIds } from "./oci-process.ts";
import { identify } from "./process-tree.ts";
import { NOT_EXECUTED, startProgram } from "./program.ts";
import { refOf, type SandboxRecord } from "./record.ts";
import { lastWords, RUNTIMES, runtimeArgv } from "./runtime.ts";
import { compiledFilter, keepCompiledFilter } from "./seccomp-cache.ts";
import { SANDBOX_UID } from "./skeleton.ts";
import { missingConfinement } from "./verify.ts";

/** The steps at which a test may kill the control plane. */
export const CREATE_FAILPOINTS = [
  "local.create.after_record",
  "local.create.after_slot",
  "local.create.after_namespace",
  "local.create.after_run",
] as const;

/**
 * Makes a sandbox and looks whether it is confined as asked. Takes about as long as the runtime does. Nothing is left when
 * it throws: `isolation_unavailable` where the host cannot give the level or a limit, `backend_unavailable` where the
 * runtime failed, `storage_unavailable` where the disk is full.
 */
export async function createSandbox(host: Host, spec: SandboxSpec, op: Op): Promise<Created> {
  const { uid } = userIds(spec.user);
  if (host.rootless !== undefined && uid !== SANDBOX_UID) {
    throw new SandboxerError("capability_unsupported", "without root there is one user inside, sandbox", {
      issues: [{ path: "user", message: "cannot be given without root", nearest: "sandbox" }],
    });
  }
  throwIfAborted(op.signal);
  try {
    return await createOn(host, spec, op);
  } catch (error) {
    // Whatever went wrong, nothing of it stays; a clean-up that fails itself is the graver news.
    await destroySandbox(host, spec.id);
    throw SandboxerError.from(op.signal.aborted ? whyAborted(op.signal) : error, { phase: "create", backend: host.backend });
  }
}

/** A sandbox that was suspended: its record, and its disk. */
export interface Kept {
  readonly slot: Slot;
  readonly record: SandboxRecord;
}

/** The runtime that made it, where that still works here. */
function sameLevel(host: Host, spec: SandboxSpec, { record }: Kept): Level {
  const levels = spec.egress === undefined ? host.levels : host.egressLevels;
  return levels.find(({ runtime }) => runtime.name === record.runtime) ?? chooseLevel(host, spec);
}

/** What {@link createSandbox} does, on a new disk or on that of one that is woken. What it leaves where it throws is its caller's to see to. */
export async function createOn(host: Host, spec: SandboxSpec, op: Op, kept?: Kept): Promise<Created> {
  const choice = kept === undefined ? chooseLevel(host, spec) : sameLevel(host, spec, kept);
  const owner = userIds(spec.user);
  const directory = directoryOf(host, spec.id);
  const cgroup = cgroupOf(host, spec.id);
  directory.create();
  const planned: SandboxRecord = {
    spec,
    runtime: choice.runtime.name,
    level: choice.level,
    slot: kept?.slot.number ?? -1,
    cgroupsPath: cgroup.path,
    notes: choice.notes,
  };
  directory.write(kept === undefined ? planned : { ...planned, suspended: true });
  host.failpoint("local.create.after_record");
  const slot = kept?.slot ?? (await host.pool.claim(spec.id, { bytes: spec.resources.diskBytes, inodes: spec.resources.inodes }));
  host.failpoint("local.create.after_slot");
  if (kept === undefined) host.pool.giveTo(slot, owner.uid);
  const { joins, joinFlags } = RUNTIMES[choice.runtime.name];
  const network =
    spec.egress === undefined ? undefined : await host.network.prepare(spec.id, directory.file("network"), spec.egress, joins);
  host.failpoint("local.create.after_namespace");
  const seconds = Math.max(1, Math.ceil((spec.maxLifeAt - Date.now()) / 1000));
  const { runtime } = choice;
  if (host.rootless === undefined) cgroup.prepareParent();
  const filter = compiledFilter(host.seccompCache, runtime, spec.allowPtrace);
  const config = ociConfig(
    {
      spec,
      slot,
      skeleton: host.skeleton,
      cgroupsPath: cgroup.path,
      init: host.rootless === undefined ? initProcess(spec, seconds) : initProcess(spec, seconds, owner),
      cpus: cpuList(host, slot.number, spec.resources.cpu),
      runtime: runtime.name,
      network,
      compiledFilter: filter,
      rootless: host.rootless,
    },
    owner.uid,
  );
  const bundle = scratchOf(host, spec.id);
  const [log, pidFile] = [join(bundle, "runtime.log"), join(bundle, "pid")];
  mkdirSync(bundle, { recursive: true, mode: 0o700 });
  writeFileSync(join(bundle, "config.json"), JSON.stringify(config), { mode: 0o600 });
  const started = runDetached(
    host,
    runtimeArgv(
      choice.runtime,
      log,
      ...(network === undefined ? [] : joinFlags),
      "run",
      "--detach",
      "--bundle",
      bundle,
      "--pid-file",
      pidFile,
      spec.id,
    ),
    log,
    op.signal,
  );
  host.fifos.prepare();
  await started;
  host.failpoint(kept === undefined ? "local.create.after_run" : "local.wake.after_run");
  const pid = Number(readFileSync(pidFile, "utf8"));
  const init = identify(pid);
  if (init === undefined) throw new SandboxerError("backend_unavailable", `the sandbox ended at once: ${lastWords(log)}`);
  const missing = await missingPromises(host, choice, spec, pid, slot.number);
  if (network !== undefined) missing.push(...missingNetwork(pid, network.namespace ?? (await host.network.pool.hold(spec.id, pid))));
  if (missing.length > 0) {
    throw new SandboxerError("isolation_unavailable", `${choice.runtime.name} did not give the sandbox: ${missing.join(", ")}`);
  }
  if (filter === undefined) keepCompiledFilter(host.seccompCache, runtime, spec.allowPtrace, spec.id);
  const record: SandboxRecord = { ...planned, slot: slot.number, init, lifeSeconds: seconds };
  directory.write(record);
  return {
    ref: refOf(record),
    isolation: { level: choice.level, runtime: `${choice.runtime.name} ${choice.runtime.version}`, notes: choice.notes },
  };
}

/** The runtime answers a moment before the first process has taken on its system call filter: this many looks, 1 ms apart. */
const LOOKS = 500;

/** What the sandbox lacks of what its level promises. gVisor's own process is confined in ways of its own: of it only limits are read. */
async function missingPromises(
  host: Host,
  { level, runtime }: Level,
  spec: SandboxSpec,
  pid: number,
  slotNumber: number,
): Promise<string[]> {
  const limits = host.rootless === undefined ? cgroupOf(host, spec.id).missingLimits(spec, RUNTIMES[runtime.name].ownThreads) : [];
  if (level === "gvisor") return limits;
  const user = hostUser(host, slotNumber, host.rootless === undefined ? 0 : SANDBOX_UID);
  for (let look = 1; ; look++) {
    const missing = missingConfinement(pid, user);
    if (missing.length === 0 || look === LOOKS) return [...limits, ...missing];
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

/** The weakest level that meets the floor: stronger ones cost more, and are chosen by asking for them. */
function chooseLevel(host: Host, { isolationMin: floor, egress }: SandboxSpec): Level {
  const levels = egress === undefined ? host.levels : host.egressLevels;
  const choice = levels.find(({ level }) => meetsIsolation(level, floor));
  if (choice === undefined) {
    if (host.unavailable !== undefined)
      throw new SandboxerError("isolation_unavailable", `no sandbox can be made on this host: ${host.unavailable}`, {
        phase: "create",
        backend: host.backend,
      });
    if (levels.length === 0) throw withoutEgress(host);
    const best = levels.at(-1)?.level ?? "none";
    throw new SandboxerError(
      "isolation_unavailable",
      `isolation level "${floor}" was asked for; the best this host can verify${egress === undefined ? "" : " with egress"} is "${best}"`,
      { phase: "create", backend: host.backend },
    );
  }
  return choice;
}

function withoutEgress({ withoutEgress, backend }: Host): SandboxerError {
  const why = [...withoutEgress].map(([name, reason]) => `${name}: ${reason}`).join("; ");
  return new SandboxerError("capability_unsupported", `sandboxes on this host cannot reach anything: ${why}`, {
    phase: "create",
    backend,
    issues: [{ path: "network.allow", message: "cannot be given" }],
  });
}

/** As many CPUs as the share asks for, taken in turn, so that programs inside count right. */
function cpuList(host: Host, slotNumber: number, share: number): { list: string; count: number } {
  const count = Math.min(host.cpuCount, Math.max(1, Math.ceil(share)));
  const first = (slotNumber * count) % host.cpuCount;
  return { list: Array.from({ length: count }, (_, i) => (first + i) % host.cpuCount).join(","), count };
}

/** Runs the runtime with nothing inherited: the sandbox's first process keeps the descriptors it is started with. */
async function runDetached(host: Host, argv: readonly string[], log: string, signal: AbortSignal): Promise<void> {
  const program = await startProgram(host.launcher, argv);
  signal.addEventListener("abort", program.kill, { once: true });
  if (signal.aborted) program.kill();
  const { code, signal: killedBy } = await program.ended;
  signal.removeEventListener("abort", program.kill);
  throwIfAborted(signal);
  if (code !== 0) {
    const how = code === NOT_EXECUTED ? "cannot be started" : `could not make the sandbox (${killedBy ?? `exit ${code}`})`;
    throw new SandboxerError("backend_unavailable", `${argv[0]} ${how}: ${lastWords(log)}`);
  }
}

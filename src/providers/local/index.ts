import { mkdirSync, rmSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import type { Created, OpenContext, Op, Provider, SandboxSpec } from "../../contract/index.ts";
import { defineProvider, SandboxerError } from "../../contract/index.ts";
import { filesOverExec } from "../shared/files-over-exec.ts";
import { findCgroups } from "./cgroup.ts";
import { createSandbox } from "./create.ts";
import { destroySandbox } from "./destroy.ts";
import { mountDisk, makeTemplate, discardDisk } from "./disk/image.ts";
import { SlotPool } from "./disk/pool.ts";
import { abandonExec, execCommand } from "./exec.ts";
import { FifoPool } from "./fifo.ts";
import { directoryOf, type Host } from "./host.ts";
import { inspectSandbox, listSandboxes } from "./observe.ts";
import { SANDBOX_UID, ensureSkeleton, HELPERS } from "./skeleton.ts";
import { LocalOptions } from "./options.ts";
import { WORKDIR } from "./oci-process.ts";
import { bestPerLevel, probeRuntimes } from "./probe.ts";
import { isAlive } from "./process-tree.ts";
import { localProcesses } from "./processes/processes.ts";
import { refOf } from "./record.ts";
import { traitsOf } from "./traits.ts";

/**
 * The embedded default: sandboxes on this machine by an OCI runtime, with no daemon. Everything about them is on disk and in the
 * kernel, so they live on when this process ends, and the next one finds them.
 */
export default defineProvider({ name: "local", options: LocalOptions, open: openLocal });

async function openLocal(options: LocalOptions, context: OpenContext): Promise<Provider> {
  const { directory, log } = context;
  const op: Op = { signal: new AbortController().signal, log };
  const sandboxes = join(directory, "sandboxes");
  mkdirSync(sandboxes, { recursive: true, mode: 0o711 });
  const skeleton = await ensureSkeleton(join(directory, "skeleton"));
  const disks = options.disk !== "tmpfs" && (await disksWork(join(directory, "trial"), options.disk === "image"));
  const pool = new SlotPool({ directory: join(directory, "slots"), disks, depth: options.pool ?? 16, owner: SANDBOX_UID });
  await pool.recover();
  const bare: Omit<Host, "levels"> = {
    backend: context.backend,
    instance: context.instance,
    log,
    failpoint: context.failpoint,
    sandboxes,
    skeleton,
    pool,
    fifos: new FifoPool(join(directory, "fifos")),
    cgroups: findCgroups(),
    cpuCount: availableParallelism(),
    seccompCache: join(directory, "seccomp"),
  };
  const probed = await probeRuntimes(bare, join(directory, "runtimes"), join(directory, "probe.json"), op);
  const host: Host = { ...bare, levels: bestPerLevel(probed.filter(({ name }) => options.runtimes?.includes(name) ?? true)) };
  const why = probed.filter(({ works }) => !works).map(({ name, reason }) => `${name}: ${reason ?? "does not work"}`);
  return localProvider(host, why);
}

/** Whether this host mounts disk images. Tried once for real, since containers and hardened kernels differ in what they allow. */
async function disksWork(trial: string, required: boolean): Promise<boolean> {
  const [template, file, mountPoint] = [`${trial}.template`, `${trial}.img`, trial];
  try {
    await makeTemplate(template, { bytes: 1024 ** 2, inodes: 64 });
    await mountDisk(template, file, mountPoint, 0, SANDBOX_UID);
    return true;
  } catch (error) {
    if (required) throw SandboxerError.from(error, { phase: "probe", hint: "Set disk: tmpfs in the backend's options, or run as root on a host with loop devices." });
    return false;
  } finally {
    await discardDisk(file, mountPoint);
    rmSync(template, { force: true });
  }
}

function localProvider(host: Host, why: readonly string[]): Provider {
  const processes = localProcesses(host);
  const creating = new Map<string, Promise<Created>>();
  const destroying = new Map<string, Promise<"destroyed" | "absent">>();
  const exec: Provider["exec"] = (ref, command, options, op) => execCommand(host, ref, command, options, op);

  const createOnce = async (spec: SandboxSpec, op: Op): Promise<Created> => {
    const record = directoryOf(host, spec.id).read();
    if (record?.init !== undefined && isAlive(record.init)) {
      const level = host.levels.find(({ runtime }) => runtime.name === record.runtime);
      return { ref: refOf(record), isolation: { level: record.level, runtime: `${record.runtime} ${level?.runtime.version ?? ""}`.trim(), notes: record.notes } };
    }
    // What a create that died has left is not built upon.
    await destroySandbox(host, spec.id);
    return createSandbox(host, spec, op);
  };

  return {
    traits: traitsOf(host.levels, why),
    create: (spec, op) => shared(creating, spec.id, () => createOnce(spec, op)),
    exec,
    destroy: (ref) => shared(destroying, ref.id, () => destroySandbox(host, ref.id)),
    async *list() {
      yield* listSandboxes(host);
    },
    inspect: async (ref) => inspectSandbox(host, ref),
    files: filesOverExec({ exec, busybox: `${HELPERS}/busybox`, workdir: WORKDIR }),
    processes,
    abandonExec: (ref, execId) => abandonExec(host, ref, execId),
    async maintain() {
      host.fifos.sweep();
      await host.pool.maintain();
    },
    async dispose() {
      processes.dispose();
      host.fifos.dispose();
    },
  };
}

/** One piece of work for all who ask for the same thing at the same time. */
function shared<T>(running: Map<string, Promise<T>>, key: string, work: () => Promise<T>): Promise<T> {
  const current = running.get(key);
  if (current !== undefined) return current;
  const started = work().finally(() => running.delete(key));
  running.set(key, started);
  return started;
}

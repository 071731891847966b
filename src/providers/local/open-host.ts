import { mkdirSync, readdirSync, rmSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import type { OpenContext } from "../../contract/index.ts";
import { SandboxerError } from "../../contract/index.ts";
import { findCgroups, NO_CGROUPS } from "./cgroup.ts";
import { blockedPassage, explainPassage } from "./data-path.ts";
import { discardDisk, makeTemplate, mountDisk } from "./disk/image.ts";
import { SlotPool } from "./disk/pool.ts";
import { FifoPool } from "./fifo.ts";
import type { Host } from "./host.ts";
import { missingForImages, WITHOUT_DISKS } from "./images/probe.ts";
import { ImageStore } from "./images/store.ts";
import { Launcher } from "./launcher.ts";
import { SandboxNetworks } from "./network/network.ts";
import type { LocalOptions } from "./options.ts";
import { type BareHost, bestPerLevel, type Probed, probeRuntime } from "./probe.ts";
import { ProbeCache } from "./probe-cache.ts";
import { identify } from "./process-tree.ts";
import { findProgram, type Runtime, type RuntimeName, RUNTIMES } from "./runtime.ts";
import { scratchDirectory } from "./scratch.ts";
import { ensureSkeleton, SANDBOX_UID } from "./skeleton.ts";
import { SnapshotStore } from "./snapshots/store.ts";

/** Prepared disks and namespaces in a process that stays, and in one that ends: there whoever waits for its exit waits for them. */
const [MANY, FEW] = [16, 4];

/** A host that is ready for sandboxes, and what was found out about it. */
export interface OpenedHost {
  readonly host: Host;
  /** Each runtime that may be used, in the order of preference. */
  readonly probed: readonly Probed[];
  /** Whether sandboxes get disks of their own. */
  readonly disks: boolean;
}

/**
 * Prepares the provider's directory and finds out what works on this host: some 0.7 s the first time after a boot, 5 ms from then on.
 * Throws `provider_missing_dependency` where tini or busybox is missing.
 */
export async function openHost(options: LocalOptions, context: OpenContext): Promise<OpenedHost> {
  const { directory, log } = context;
  const runtimeRoot = join(directory, "runtimes");
  const sandboxes = join(directory, "sandboxes");
  for (const path of [sandboxes, runtimeRoot]) mkdirSync(path, { recursive: true, mode: 0o711 });
  const scratch = scratchDirectory(directory, `${context.instance}.${context.backend}`);
  const launcher = new Launcher();
  const rootless = currentUser();
  const found = await findRuntimes(runtimeRoot, rootless !== undefined);
  const cache = new ProbeCache(join(directory, "probe.json"), found);
  // Numbered by its content: sandboxes that live stand on the one they were made with.
  const skeleton = await ensureSkeleton(join(directory, "skeleton"));
  const disks =
    rootless === undefined && options.disk !== "tmpfs" && (cache.disks ?? (await disksWork(directory, options.disk === "image")));
  const images = new ImageStore(join(directory, "images"));
  const withoutImages = disks ? (cache.overlays === true ? undefined : await missingForImages(directory)) : WITHOUT_DISKS;
  const depth = options.pool ?? (context.stays === false ? FEW : MANY);
  const onError = (error: unknown): void =>
    log.warn({ error: String(error) }, "prepared things could not be made or thrown away; the next sweep tries again");
  const pool = new SlotPool({ directory: join(directory, "slots"), disks, depth, owner: SANDBOX_UID, onError });
  await pool.recover();
  const bare: BareHost = {
    backend: context.backend,
    instance: context.instance,
    log,
    failpoint: context.failpoint,
    sandboxes,
    skeleton,
    pool,
    images,
    snapshots: new SnapshotStore(join(directory, "snapshots")),
    withoutImages,
    fifos: new FifoPool(join(scratch, "fifos"), launcher),
    launcher,
    network: new SandboxNetworks({ directory: join(directory, "network"), depth, onError }),
    scratch,
    cgroups: rootless === undefined ? findCgroups() : NO_CGROUPS,
    rootless,
    cpuCount: availableParallelism(),
    runtimes: new Map([...found].filter((entry): entry is [RuntimeName, Runtime] => entry[1] !== undefined)),
    runtimeRoot,
    seccompCache: join(directory, "seccomp"),
  };
  const blocked = rootless === undefined ? blockedPassage(directory) : undefined;
  const nothing = { levels: [], egressLevels: [], withoutEgress: new Map<RuntimeName, string>() };
  if (blocked !== undefined) return { host: { ...bare, ...nothing, unavailable: explainPassage(blocked) }, probed: [], disks };

  const known = [...found.keys()].map((name) => cache.runtime(name)).filter((one) => one !== undefined);
  const probed: Probed[] = [];
  for (const name of options.runtimes ?? found.keys()) {
    probed.push(cache.runtime(name) ?? (await probeRuntime(bare, name, found.get(name))));
  }
  const others = known.filter(({ name }) => !probed.some((one) => one.name === name));
  if (probed.some(({ name }) => cache.runtime(name) === undefined) || (disks && !cache.disks) || (withoutImages === undefined && !cache.overlays))
    cache.keep({ probed: [...probed, ...others], disks: disks || cache.disks === true, overlays: withoutImages === undefined || cache.overlays === true }, log); // prettier-ignore
  const runtimes = new Map([
    ...bare.runtimes,
    ...probed.flatMap(({ name, runtime }) => (runtime === undefined ? [] : [[name, runtime] as const])),
  ]);
  const levels = bestPerLevel(probed);
  const egressLevels = bestPerLevel(probed.filter(({ withoutEgress }) => withoutEgress === undefined));
  const withoutEgress = new Map(probed.flatMap(({ name, withoutEgress }) => (withoutEgress === undefined ? [] : [[name, withoutEgress]])));
  const why = probed.map(({ name, reason }) => `${name}: ${reason ?? "does not work"}`).join("; ");
  return {
    host: {
      ...bare,
      runtimes,
      levels,
      egressLevels,
      withoutEgress,
      ...(levels.length === 0 ? { unavailable: why || "no OCI runtime works here" } : {}),
    },
    probed,
    disks,
  };
}

/** Who all this runs as; undefined for root. */
function currentUser(): Host["rootless"] {
  const [uid, gid] = [process.getuid?.() ?? 0, process.getgid?.() ?? 0];
  return uid === 0 ? undefined : { uid, gid };
}

async function findRuntimes(runtimeRoot: string, rootless: boolean): Promise<Map<RuntimeName, Runtime | undefined>> {
  const found = new Map<RuntimeName, Runtime | undefined>();
  for (const name of Object.keys(RUNTIMES) as RuntimeName[]) {
    const program = await findProgram(name);
    const root = join(runtimeRoot, name);
    found.set(name, program === undefined ? undefined : { name, program, version: "", root, rootless });
  }
  return found;
}

/** Whether this host mounts disk images. Tried once for real, since containers and hardened kernels differ in what they allow. */
async function disksWork(directory: string, required: boolean): Promise<boolean> {
  // Names of this process's own: several may start at once.
  const trial = join(directory, `trial-${process.pid}`);
  const [template, file] = [`${trial}.template`, `${trial}.img`];
  try {
    await removeOldTrials(directory);
    await makeTemplate(template, { bytes: 1024 ** 2, inodes: 64 });
    await mountDisk(template, file, trial, 0, SANDBOX_UID);
    return true;
  } catch (error) {
    if (required)
      throw SandboxerError.from(error, {
        phase: "probe",
        hint: "Set disk: tmpfs in the backend's options, or run as root on a host with loop devices.",
      });
    return false;
  } finally {
    await discardDisk(file, trial);
    rmSync(template, { force: true });
  }
}

/** What a process that was killed in the middle of its trial has left. */
async function removeOldTrials(directory: string): Promise<void> {
  for (const name of readdirSync(directory)) {
    const pid = /^trial-(\d+)/.exec(name)?.[1];
    if (pid === undefined || identify(Number(pid)) !== undefined) continue;
    await discardDisk(join(directory, `trial-${pid}.img`), join(directory, `trial-${pid}`));
    rmSync(join(directory, `trial-${pid}.template`), { force: true });
  }
}

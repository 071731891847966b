import type { Created, OpenContext, Op, Provider, Ref, SandboxSpec } from "../../contract/index.ts";
import { defineProvider } from "../../contract/index.ts";
import { filesOverExec } from "../shared/files-over-exec.ts";
import { portsOverExec } from "../shared/ports-over-exec.ts";
import { throwIfAborted } from "./abort.ts";
import { createSandbox } from "./create.ts";
import { destroySandbox, removeEmptyGroups } from "./destroy.ts";
import { abandonExec, execCommand, liveRecord } from "./exec.ts";
import { directoryOf, type Host } from "./host.ts";
import { DEFAULT_LIMITS, type ImageLimits } from "./images/limits.ts";
import { type ImagesOptions, localImages } from "./images/images.ts";
import { inspectSandbox, listSandboxes } from "./observe.ts";
import { localPorts } from "./network/ports.ts";
import { LocalOptions } from "./options.ts";
import { openHost } from "./open-host.ts";
import { WORKDIR } from "./oci-process.ts";
import { isAlive } from "./process-tree.ts";
import { localProcesses } from "./processes/processes.ts";
import { recordedIds, refOf } from "./record.ts";
import { pauseSandbox, resumeSandbox, suspendSandbox, wakeSandbox } from "./rest.ts";
import { shared } from "../shared/at-once.ts";
import { HELPERS } from "./skeleton.ts";
import { localSnapshots, sweepSnapshots } from "./snapshots/snapshots.ts";
import { canKeepDisk, canRest, traitsOf } from "./traits.ts";

/**
 * The embedded default: sandboxes on this machine by an OCI runtime, with no daemon. Everything about them is on disk and in the
 * kernel, so they live on when this process ends, and the next one finds them.
 */
export default defineProvider({ name: "local", options: LocalOptions, open: openLocal });

async function openLocal(options: LocalOptions, context: OpenContext): Promise<Provider> {
  const { host } = await openHost(options, context);
  return localProvider(host, options);
}

function localProvider(host: Host, options: LocalOptions): Provider {
  const processes = localProcesses(host);
  const creating = new Map<string, Promise<Created>>();
  const destroying = new Map<string, Promise<"destroyed" | "absent">>();
  const exec: Provider["exec"] = (ref, command, options, op) => execCommand(host, ref, command, options, op);

  const createOnce = async (spec: SandboxSpec, op: Op): Promise<Created> => {
    const record = directoryOf(host, spec.id).read();
    // The same one: also what it believes in and where its traffic goes is as asked for.
    const same = record?.spec.egress?.caPem === spec.egress?.caPem && (spec.egress === undefined || host.network.pool.live().has(spec.id));
    if (record?.init !== undefined && isAlive(record.init) && same) {
      const version = host.runtimes.get(record.runtime)?.version ?? "";
      return {
        ref: refOf(record),
        isolation: { level: record.level, runtime: `${record.runtime} ${version}`.trim(), notes: record.notes },
      };
    }
    // What a create that died has left is not built upon.
    await destroySandbox(host, spec.id);
    return createSandbox(host, spec, op);
  };

  return {
    traits: traitsOf(host),
    create: (spec, op) => shared(creating, spec.id, () => createOnce(spec, op)),
    exec,
    destroy: (ref) => shared(destroying, ref.id, () => destroySandbox(host, ref.id)),
    async *list(op) {
      throwIfAborted(op.signal);
      yield* listSandboxes(host);
    },
    inspect: async (ref, op) => {
      throwIfAborted(op.signal);
      return inspectSandbox(host, ref);
    },
    files: filesOverExec({ exec, busybox: `${HELPERS}/busybox`, workdir: WORKDIR }),
    processes,
    ports: localPorts(host, portsOverExec({ exec, busybox: `${HELPERS}/busybox` })),
    network: {
      namespace: async (ref) => {
        liveRecord(host, ref);
        return host.network.of(ref.id);
      },
    },
    ...(canRest(host)
      ? {
          pause: { pause: (ref: Ref, op: Op) => pauseSandbox(host, ref, op), resume: (ref: Ref, op: Op) => resumeSandbox(host, ref, op) },
        }
      : {}),
    ...(canKeepDisk(host)
      ? {
          suspend: { suspend: (ref: Ref) => suspendSandbox(host, ref), wake: (ref: Ref, op: Op) => shared(creating, ref.id, () => wakeSandbox(host, ref, op)) }, // prettier-ignore
        }
      : {}),
    ...(host.withoutImages === undefined
      ? { images: localImages(imagesOptions(host, options)), snapshots: localSnapshots(host, limitsOf(options)) }
      : {}),
    abandonExec: (ref, execId) => abandonExec(host, ref, execId),
    async maintain() {
      host.fifos.sweep();
      await host.pool.maintain();
      await host.network.pool.maintain();
      await host.images.sweep();
      await sweepSnapshots(host);
    },
    async dispose() {
      processes.dispose();
      host.fifos.dispose();
      host.launcher.dispose();
      host.network.dispose();
      await host.pool.refillUsedUp();
      await host.network.pool.refillUsedUp();
      await removeEmptyGroups(host);
    },
  };
}

function imagesOptions(host: Host, options: LocalOptions): ImagesOptions {
  const { backend, failpoint, images: store } = host;
  return {
    backend,
    store,
    failpoint,
    limits: limitsOf(options),
    users() {
      const sandboxes = recordedIds(host.sandboxes).map((id) => ({ id, image: directoryOf(host, id).read()?.image }));
      const all = [...sandboxes, ...host.snapshots.records()];
      // What came with a snapshot from elsewhere is in that snapshot.
      return all.flatMap(({ id, image }) => (image === undefined || image.layers.length === 0 ? [] : [{ by: id, id: image.id, layers: image.layers }]));
    },
  };
} // prettier-ignore

function limitsOf({ images = {} }: LocalOptions): ImageLimits {
  return { bytes: images.max_bytes ?? DEFAULT_LIMITS.bytes, entries: images.max_entries ?? DEFAULT_LIMITS.entries };
}

import type { SnapshotMade, Snapshots } from "../../../contract/index.ts";
import { cgroupOf, directoryOf, type Host } from "../host.ts";
import type { ImageLimits } from "../images/limits.ts";
import { recordedIds } from "../record.ts";
import { isPaused } from "../rest.ts";
import { exportSnapshot, importSnapshot } from "./portable.ts";
import type { SnapshotRecord } from "./store.ts";
import { takeSnapshot } from "./take.ts";

/** The snapshots of this host, as the contract has them. */
export function localSnapshots(host: Host, limits: ImageLimits): Snapshots {
  return {
    create: async (ref, snapshot, op) => madeOf(await takeSnapshot(host, ref, snapshot, op)),
    list: async () => host.snapshots.all(),
    async remove(id) {
      // What a dead process was making goes this way, since its sandbox may stand still for it.
      await sweepSnapshots(host);
      return host.snapshots.remove(id, () => standingOn(host, id));
    },
    export: (id, op) => exportSnapshot(host, id, op),
    import: async (snapshot, source, op) => madeOf(await importSnapshot(host, snapshot, source, { limits, op })),
  };
}

function madeOf({ parents, image, bytes, entries, digest }: SnapshotRecord): SnapshotMade {
  return { parent: parents[0] ?? null, image: image?.id ?? "host", sizeBytes: bytes, entries, digest };
}

/** Sandboxes and snapshots that cannot be without it. */
function standingOn(host: Host, id: string): string[] {
  const sandboxes = recordedIds(host.sandboxes).filter((sandbox) => directoryOf(host, sandbox).read()?.snapshots?.includes(id) === true);
  return [...sandboxes, ...host.snapshots.records().filter(({ parents }) => parents.includes(id)).map((record) => record.id)]; // prettier-ignore
}

/** Removes what snapshots that died half-way have left, and lets go of the sandboxes that stood still for them. */
export async function sweepSnapshots(host: Host): Promise<void> {
  for (const sandbox of await host.snapshots.sweep()) {
    const cgroup = cgroupOf(host, sandbox);
    if (cgroup.exists() && !isPaused(host, sandbox)) cgroup.freeze(false);
  }
}

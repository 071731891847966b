import {
  type Fork, type ForkRequest, type Principal, SandboxerError, type SnapshotInfo, type SnapshotRequest, type SnapshotTree
} from "../../contract/index.ts"; // prettier-ignore
import { listSnapshots, relatedSandboxes, type SnapshotRow } from "../../ledger/index.ts";
import { type Context, op } from "../context.ts";
import { removeSnapshot } from "./remove.ts";
import { accessibleSnapshot, keeperOf, requireSnapshotHere, toSnapshot, usableSnapshot } from "./rows.ts";
import { importSnapshot, takeSnapshot } from "./take.ts";

/** What was kept of sandboxes. A snapshot is its sandbox's tenant's and project's. */
export interface SnapshotVerbs {
  /** Keeps what a sandbox has written; it stands still while its changed files are copied. */
  create(who: Principal, sandboxId: string, request: SnapshotRequest): Promise<SnapshotInfo>;
  /** Oldest first. */
  list(who: Principal): Promise<SnapshotInfo[]>;
  get(who: Principal, id: string): Promise<SnapshotInfo>;
  /** Throws `conflict` while a sandbox or another snapshot stands on it. */
  remove(who: Principal, id: string): Promise<SnapshotInfo>;
  /** All of it as one portable file. Throws `backend_rejected` where anything in it has changed. */
  export(who: Principal, id: string, signal?: AbortSignal): Promise<AsyncIterable<Uint8Array>>;
  import(
    who: Principal,
    source: AsyncIterable<Uint8Array>,
    options: { name?: string | undefined; backend?: string | undefined },
    signal?: AbortSignal,
  ): Promise<SnapshotInfo>;
  /** Snapshots, the sandboxes they were taken of, and those that came from them, ended ones too. */
  tree(who: Principal): Promise<SnapshotTree>;
}

export type ForkVerb = (who: Principal, sandboxId: string, request: ForkRequest, signal?: AbortSignal) => Promise<Fork>;

export function snapshots(ctx: Context): SnapshotVerbs {
  return {
    create: (who, sandboxId, request) => takeSnapshot(ctx, who, sandboxId, request),
    list: async (who) => (await rowsOf(ctx, who)).map(toSnapshot),
    get: async (who, id) => toSnapshot(await accessibleSnapshot(ctx, who, id)),
    async remove(who, id) {
      const row = await accessibleSnapshot(ctx, who, id);
      await requireSnapshotHere(ctx, row);
      if (row.state !== "ready") throw new SandboxerError("wrong_state", `snapshot ${id} is ${row.state}`, { phase: "snapshot" });
      await removeSnapshot(ctx, row, "user");
      return toSnapshot({ ...row, state: "removing" });
    },
    async export(who, id, signal) {
      const row = await usableSnapshot(ctx, who, id);
      return keeperOf(ctx, row.backend).export(id, op(ctx, signal));
    },
    import: (who, source, { name, backend }, signal) =>
      importSnapshot(ctx, who, source, { name, backend: backend ?? firstKeeper(ctx), signal }),
    async tree(who) {
      const rows = await rowsOf(ctx, who);
      const sandboxes = await relatedSandboxes(ctx.ledger.db, rows);
      const time = (ms: number): string => new Date(ms).toISOString();
      return {
        object: "tree",
        nodes: [
          ...sandboxes.map(({ id, name, state, snapshot, created_at }) => ({ id, kind: "sandbox" as const, name, state, parent: snapshot, created_at: time(created_at), size_bytes: null })),
          ...rows.map(({ id, name, state, sandbox_id, created_at, size_bytes }) => ({ id, kind: "snapshot" as const, name, state, parent: sandbox_id, created_at: time(created_at), size_bytes })),
        ],
      };
    },
  };
} // prettier-ignore

function rowsOf(ctx: Context, { tenant, project }: Principal): Promise<SnapshotRow[]> {
  return listSnapshots(ctx.ledger.db, { tenant, project });
}

function firstKeeper(ctx: Context): string {
  const found = ctx.backends.find(({ provider }) => provider?.snapshots !== undefined);
  if (found !== undefined) return found.name;
  throw new SandboxerError("capability_unsupported", "no backend that is open here keeps snapshots", { phase: "snapshot" });
}

import {
  newId, parse, type Principal, SandboxerError, type SnapshotMade, SnapshotRequest, type SnapshotInfo,
} from "../../contract/index.ts"; // prettier-ignore
import { appendEvent, changeSnapshot, countSnapshots, deleteSnapshot, insertSnapshot, type SnapshotRow } from "../../ledger/index.ts";
import { type Context, durability, hostFor, neverAborted, op } from "../context.ts";
import { requireCapability, usable, using } from "../use.ts";
import { keeperOf, toSnapshot } from "./rows.ts";

/** Of one tenant. */
const MAX_SNAPSHOTS = 1000;

/** Keeps what a sandbox has written, which stands still meanwhile. */
export async function takeSnapshot(ctx: Context, who: Principal, sandboxId: string, input: SnapshotRequest): Promise<SnapshotInfo> {
  const { name = null, ttl, kind = "disk" } = parse(SnapshotRequest, input, { what: "request" });
  const target = await usable(ctx, who, sandboxId);
  if (kind === "memory")
    throw new SandboxerError("capability_unsupported", "kind: needs snapshot.memory, which this version of sand-boxer does not have", {
      backend: target.row.backend,
      issues: [{ path: "kind", message: "memory cannot be kept", nearest: "disk" }],
    });
  requireCapability(target, "snapshot.disk", "kind");
  const now = ctx.clock.now();
  const row: SnapshotRow = {
    ...blank(ctx, who, target.row.backend, { name, expiresAt: ttl === undefined ? null : now + Math.ceil(ttl * 1000) }),
    // Whoever takes it: it is of the same tenant and project as its sandbox.
    tenant: target.row.tenant,
    project: target.row.project,
    sandbox_id: target.row.id,
    profile: `${target.row.profile_name}@${target.row.profile_version}`,
    parent: target.row.snapshot,
  };
  const snapshots = keeperOf(ctx, row.backend);
  const { id, tenant } = row;
  return keep(ctx, row, () => using(ctx, target, "snapshot", () => snapshots.create(target.ref, { id, tenant }, op(ctx))));
}

/** Takes in what another one's export gave. */
export async function importSnapshot(
  ctx: Context,
  who: Principal,
  source: AsyncIterable<Uint8Array>,
  { name, backend, signal }: { name?: string | undefined; backend: string; signal?: AbortSignal | undefined },
): Promise<SnapshotInfo> {
  const row = blank(ctx, who, backend, { name: name ?? null, expiresAt: null });
  const snapshots = keeperOf(ctx, backend);
  const { id, tenant } = row;
  return keep(ctx, row, () => snapshots.import({ id, tenant }, source, op(ctx, signal ?? neverAborted())));
}

function blank(ctx: Context, who: Principal, backend: string, given: { name: string | null; expiresAt: number | null }): SnapshotRow {
  const now = ctx.clock.now();
  return {
    id: newId("snapshot", now), tenant: who.tenant, project: who.project ?? null, name: given.name, kind: "disk", state: "making", backend,
    host: hostFor(ctx, backend), owner: ctx.instance, sandbox_id: null, profile: null, parent: null, image: null, size_bytes: null, entries: null,
    digest: null, created_at: now, expires_at: given.expiresAt, key_id: who.key_id,
  }; // prettier-ignore
}

/** The row, then the effect, then the row again. Where it fails nothing is left, or the sweep sees to it. */
async function keep(ctx: Context, row: SnapshotRow, make: () => Promise<SnapshotMade>): Promise<SnapshotInfo> {
  const done = ctx.live.beginCreate(row.id, new AbortController());
  try {
    await ctx.ledger.transaction(async (tx) => {
      if ((await countSnapshots(tx, row.tenant)) >= MAX_SNAPSHOTS)
        throw new SandboxerError("quota_exceeded", `tenant ${row.tenant} has ${MAX_SNAPSHOTS} snapshots`, { hint: "Remove some with 'sand-boxer snapshot rm'." });
      await insertSnapshot(tx, row);
    }, durability(ctx, row.backend));
    ctx.failpoint("snapshot.after_row");
    let made: SnapshotMade;
    try {
      made = await make();
    } catch (thrown) {
      // The provider promises that nothing of it is left.
      await ctx.ledger.transaction((tx) => deleteSnapshot(tx, row.id));
      throw thrown;
    }
    ctx.failpoint("snapshot.after_provider");
    const { parent, image, sizeBytes, entries, digest } = made;
    const ready = { ...row, state: "ready" as const, owner: null, parent, image, size_bytes: sizeBytes, entries, digest };
    await ctx.ledger.transaction(async (tx) => {
      await changeSnapshot(tx, row, { state: "ready", owner: null, parent, image, size_bytes: sizeBytes, entries, digest });
      const data = { snapshot_id: row.id, name: row.name, backend: row.backend, parent, size_bytes: sizeBytes, digest, key_id: row.key_id };
      await appendEvent(tx, { type: "snapshot.created", at: ctx.clock.now(), tenant: row.tenant, sandboxId: row.sandbox_id, data });
    }, durability(ctx, row.backend));
    return toSnapshot(ready);
  } finally {
    done();
  }
} // prettier-ignore

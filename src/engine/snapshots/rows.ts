import { isId, type Principal, SandboxerError, type SnapshotInfo } from "../../contract/index.ts";
import { findHost, findSnapshot, type SnapshotRow } from "../../ledger/index.ts";
import { sees } from "../access.ts";
import { backendOf, type Context, hostOf } from "../context.ts";
import { opened } from "../backends.ts";

/** A row as everyone outside sees it. */
export function toSnapshot(row: SnapshotRow): SnapshotInfo {
  return {
    object: "snapshot",
    id: row.id,
    name: row.name,
    tenant: row.tenant,
    project: row.project,
    kind: row.kind,
    state: row.state,
    backend: row.backend,
    parent: row.parent,
    sandbox_id: row.sandbox_id,
    profile: row.profile,
    image: row.image,
    size_bytes: row.size_bytes,
    entries: row.entries,
    digest: row.digest,
    created_at: new Date(row.created_at).toISOString(),
    expires_at: row.expires_at === null ? null : new Date(row.expires_at).toISOString(),
    preserves: ["disk"],
    side_effects: [row.sandbox_id === null ? "none" : "freezes_source"],
  };
}

/** Another tenant's or project's snapshot, named in that field, answers in the same words as one that does not exist. */
export async function accessibleSnapshot(ctx: Context, who: Principal, id: string, field = "id"): Promise<SnapshotRow> {
  if (!isId("snapshot", id)) {
    const message = 'must be "sn" and 22 letters and digits';
    throw new SandboxerError("invalid_request", `${field}: not a snapshot id`, { issues: [{ path: field, message }] });
  }
  const row = await findSnapshot(ctx.ledger.db, id);
  if (row !== undefined && sees(who, row)) return row;
  throw new SandboxerError("not_found", `there is no snapshot ${id}`, { hint: "List them with 'sand-boxer snapshot ls'." });
}

/** The same, and it can be stood on, here. Throws `wrong_state` where it is not whole, and `wrong_host` where it is elsewhere. */
export async function usableSnapshot(
  ctx: Context,
  who: Principal,
  id: string,
  field?: string,
): Promise<SnapshotRow & { readonly digest: string }> {
  const row = await accessibleSnapshot(ctx, who, id, field);
  const { state, digest } = row;
  if (state !== "ready" || digest === null) throw new SandboxerError("wrong_state", `snapshot ${id} is ${state}`, { phase: "snapshot" });
  await requireSnapshotHere(ctx, row);
  return { ...row, digest };
}

export async function requireSnapshotHere(ctx: Context, row: SnapshotRow): Promise<void> {
  if (row.host === null || row.host === hostOf(ctx)) return;
  const host = await findHost(ctx.ledger.db, row.host);
  throw new SandboxerError("wrong_host", `snapshot ${row.id} is on host ${host?.name ?? row.host}, and only a control plane there reaches it`, {
    backend: row.backend,
    ...(host === undefined || host.address === null ? {} : { hint: `Ask ${host.address}, which is that host's.` }),
  });
} // prettier-ignore

/** What keeps snapshots at a backend. Throws `capability_unsupported`. */
export function keeperOf(ctx: Context, backend: string) {
  const { snapshots } = opened(backendOf(ctx, backend));
  if (snapshots !== undefined) return snapshots;
  throw new SandboxerError("capability_unsupported", `backend ${backend} keeps no snapshots`, { phase: "snapshot", backend });
}

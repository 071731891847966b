import type { Ref, Resources, Route, Sandbox } from "../contract/index.ts";
import type { SandboxRow } from "../ledger/index.ts";

const time = (ms: number) => new Date(ms).toISOString();
const timeOrNull = (ms: number | null) => (ms === null ? null : time(ms));

/** A row as everyone outside sees it. */
export function toSandbox(row: SandboxRow): Sandbox {
  return {
    id: row.id,
    object: "sandbox",
    name: row.name,
    tenant: row.tenant,
    project: row.project,
    profile: { name: row.profile_name, version: row.profile_version, digest: row.profile_digest },
    backend: row.backend,
    state: row.state,
    desired: row.desired,
    generation: row.generation,
    isolation: {
      min: row.isolation_min,
      effective: row.isolation_effective,
      runtime: row.runtime,
      notes: JSON.parse(row.isolation_notes) as string[],
    },
    resources: JSON.parse(row.resources) as Resources,
    narrowed: JSON.parse(row.narrowed) as string[],
    route: JSON.parse(row.route) as Route,
    metadata: JSON.parse(row.metadata) as Record<string, string>,
    created_at: time(row.created_at),
    ready_at: timeOrNull(row.ready_at),
    last_active_at: time(row.last_active_at),
    expires_at: time(row.expires_at),
    max_life_at: time(row.max_life_at),
    idle_seconds: row.idle_seconds,
    ended_at: timeOrNull(row.ended_at),
    termination:
      row.termination_reason === null || row.state === "failed" ? null : { reason: row.termination_reason, detail: row.termination_detail },
    error: row.error_code === null ? null : { code: row.error_code, message: row.error_message ?? "" },
    state_lost: row.state_lost === 1,
    persistence: row.persistence,
    scope: row.scope === null || row.scope_key === null ? null : { kind: row.scope, key: row.scope_key },
    lifetime: { on_idle: row.on_idle, on_expire: row.on_expire, on_use: row.on_use },
    resting: row.rested_at === null ? null : { since: time(row.rested_at), because: row.rest_because ?? "user" },
  };
}

/** The provider's handle that was stored when it was made; null where `create` never answered. */
export function storedRef(row: SandboxRow): Ref | null {
  return row.ref === null ? null : (JSON.parse(row.ref) as Ref);
}

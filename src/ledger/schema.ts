import type { Generated, Insertable, Selectable, Updateable } from "kysely";
import type { HostTable, LeaseTable, UsageSummaryTable } from "./schema-fleet.ts";
import type { KeyTable, PolicyTable, ProfileLabelsTable, ProjectTable, QuotaTable, TenantTable } from "./schema-access.ts";
import type { IsolationLevel, PortVisibility, SandboxState, TerminationReason } from "../contract/index.ts";
import type { RestColumns, UsageRestColumns } from "./schema-rest.ts";
import type { HubTables } from "./schema-hub.ts";
import type { MoneyTables } from "./schema-money.ts";

/** Times are epoch milliseconds; `json` columns hold JSON text; booleans are 0 and 1: the same on SQLite and PostgreSQL. */
type Json = string;

export interface SandboxTable extends RestColumns {
  id: string;
  tenant: string;
  name: string | null;
  profile_name: string;
  profile_version: number;
  profile_digest: string;
  backend: string;
  /** The provider's {@link Ref}; null until `create` answered. */
  ref: Json | null;
  state: SandboxState;
  desired: "running" | "paused" | "suspended" | "terminated";
  generation: number;
  /** The instance that is working on it now; null: nobody, the sweep may settle it. */
  owner: string | null;
  /** The host whose local runtime has it: no other control plane reaches it. null: each does. */
  host: Generated<string | null>;
  isolation_min: IsolationLevel;
  isolation_effective: IsolationLevel | null;
  runtime: string | null;
  isolation_notes: Json;
  resources: Json;
  narrowed: Json;
  route: Json;
  metadata: Json;
  created_at: number;
  ready_at: number | null;
  last_active_at: number;
  expires_at: number;
  max_life_at: number;
  idle_seconds: number | null;
  /** `last_active_at` and the idle clock added up; null without an idle clock. */
  idle_at: number | null;
  ended_at: number | null;
  termination_reason: TerminationReason | null;
  termination_detail: string | null;
  error_code: string | null;
  error_message: string | null;
  state_lost: number;
  project: string | null;
  /** Who began it; null: the operator on the machine. */
  key_id: string | null;
}

export interface MetadataTable {
  tenant: string;
  key: string;
  value: string;
  sandbox_id: string;
}

export interface ExecTable {
  id: string;
  sandbox_id: string;
  tenant: string;
  owner: string;
  started_at: number;
  ended_at: number | null;
  outcome: string | null;
  exit_code: number | null;
}

export interface ProcessTable {
  id: string;
  sandbox_id: string;
  tenant: string;
  /** Counts the sandbox's processes from 1. */
  number: number;
  command: Json;
  pty: number;
  started_at: number;
  ended_at: number | null;
  end: Json | null;
  output_bytes: number;
}

export interface ProfileTable {
  tenant: string;
  name: string;
  version: number;
  digest: string;
  document: Json;
  created_at: number;
  /** Stored by the operator on this machine, not through a key. */
  local: number;
}

/** A tenant's secret under one name: the present value and no earlier one. */
export interface SecretTable {
  tenant: string;
  name: string;
  version: number;
  /** Sealed; null once removed. */
  value: string | null;
  /** The only hosts it may be bound to; null: those that the profile names. */
  hosts: Json | null;
  created_at: number;
  rotated_at: number | null;
  last_used_at: number | null;
  removed_at: number | null;
}

/** One secret of one sandbox, as its profile binds it. Holds no value. */
export interface SandboxSecretTable {
  sandbox_id: string;
  /** The profile's name for it. */
  name: string;
  /** The stored secret it takes its value from; null for other sources. */
  vault: string | null;
  local: number;
  /** The profile's source. */
  source: Json;
  /** The contract's `SecretBinding`, with the placeholder. */
  binding: Json;
  /** The version that the boundary was told; 0: revoked; null: not known. */
  delivered: number | null;
}

export interface IdempotencyTable {
  tenant: string;
  key: string;
  /** sha256 of the request's canonical JSON. */
  digest: string;
  sandbox_id: string;
  created_at: number;
}

/** A process that has this ledger open. Boot, PID namespace, pid and start ticks together name it without doubt. */
export interface InstanceTable {
  id: string;
  boot_id: string;
  pid_namespace: string;
  pid: number;
  start_ticks: number;
  seen_at: number;
  /** The data directory's id, where the ledger is shared; null: the ledger lies in it. */
  host: Generated<string | null>;
  started_at: Generated<number>;
  /** By the ledger's clock; counts where the ledger is shared. */
  lease_until: Generated<number>;
}

/** One stay at one backend: opened with the row that stands before the create, closed when the release is confirmed. */
export interface UsageTable extends UsageRestColumns {
  sandbox_id: string;
  generation: number;
  tenant: string;
  backend: string;
  opened_at: number;
  closed_at: number | null;
  cpu_milli: number;
  mem_mib: number;
  disk_mib: number;
  creates: number;
  /** Rounded up at the close; null while it is open. */
  vcpu_seconds: number | null;
  mem_mib_seconds: number | null;
  disk_mib_seconds: number | null;
  /** What its connections through the boundary moved: out of the sandbox, and into it. */
  egress_bytes_up: Generated<number>;
  egress_bytes_down: Generated<number>;
}

/** A sandbox's egress: written before the boundary is told of it, and kept after its end. */
export interface SandboxNetworkTable {
  sandbox_id: string;
  tenant: string;
  generation: number;
  /** An `EgressPolicy`: what is in force. */
  policy: Json;
  /** An `EgressPolicy`: profile and operator's floor, beyond which no update goes. */
  ceiling: Json;
  /** Grows with every change of the policy; from 1. */
  revision: number;
  /** The revision that the boundary has confirmed; 0 before it has one. */
  applied: number;
  /** Whether the boundary was last seen to listen inside. */
  attached: number;
  /** Why nothing gets out now, where that is not the policy. */
  problem: string | null;
  bytes_up: number;
  bytes_down: number;
  /** Denials told as events since `told_since`, and those that were too many to tell. */
  told_since: number;
  told: number;
  untold: number;
  updated_at: number;
  /** When the boundary confirmed that it has forgotten it; null: it may still hold something. */
  released_at: number | null;
}

/** What the boundary decided, one connection, request or name a row. */
export interface NetworkLogTable {
  sandbox_id: string;
  seq: number;
  at: number;
  verdict: "allow" | "deny" | "audit";
  /** The whole `NetworkVerdict`. */
  entry: Json;
}

/** A histogram kept over restarts: how often a verb at a backend took at most `le_us` microseconds, in the ten minutes from `slice_at` on. */
export interface MeasurementTable {
  backend: string;
  verb: string;
  slice_at: number;
  le_us: number;
  count: number;
}

export interface EventTable {
  seq: Generated<number>;
  type: string;
  at: number;
  tenant: string;
  sandbox_id: string | null;
  data: Json;
}

/** What was said about a port while its sandbox lived; ports that only the profile lists have no row. */
export interface PublishedPortTable {
  sandbox_id: string;
  port: number;
  /** null: taken back. */
  visibility: PortVisibility | null;
  generation: number;
  /** Grows with every change, so that addresses from before it hold no longer. */
  serial: number;
  expires_at: number | null;
}

/** One-time addresses that were used, until they would have expired anyway. */
export interface PortGrantTable {
  id: string;
  expires_at: number;
}

export interface MetaTable {
  key: string;
  value: string;
}

export interface Tables extends HubTables, MoneyTables {
  sandboxes: SandboxTable;
  sandbox_metadata: MetadataTable;
  execs: ExecTable;
  processes: ProcessTable;
  profiles: ProfileTable;
  keys: KeyTable;
  idempotency: IdempotencyTable;
  instances: InstanceTable;
  hosts: HostTable;
  leases: LeaseTable;
  usage_summary: UsageSummaryTable;
  usage: UsageTable;
  sandbox_network: SandboxNetworkTable;
  network_log: NetworkLogTable;
  measurements: MeasurementTable;
  events: EventTable;
  published_ports: PublishedPortTable;
  port_grants: PortGrantTable;
  meta: MetaTable;
  secrets: SecretTable;
  sandbox_secrets: SandboxSecretTable;
  tenants: TenantTable;
  projects: ProjectTable;
  quotas: QuotaTable;
  profile_labels: ProfileLabelsTable;
  policies: PolicyTable;
}

export type SandboxRow = Selectable<SandboxTable>;
export type NewSandboxRow = Insertable<SandboxTable>;
export type SandboxPatch = Updateable<SandboxTable>;
export type ExecRow = Selectable<ExecTable>;
export type ProcessRow = Selectable<ProcessTable>;
export type ProfileRow = Selectable<ProfileTable>;
export type SecretRow = Selectable<SecretTable>;
export type SandboxSecretRow = Selectable<SandboxSecretTable>;
export type NewInstanceRow = Insertable<InstanceTable>;
export type InstanceRow = Selectable<InstanceTable>;
export type UsageRow = Selectable<UsageTable>;
export type SandboxNetworkRow = Selectable<SandboxNetworkTable>;
export type SandboxNetworkPatch = Updateable<SandboxNetworkTable>;
export type PublishedPortRow = Selectable<PublishedPortTable>;
export type MeasurementRow = Selectable<MeasurementTable>;
export type EventRow = Selectable<EventTable>;

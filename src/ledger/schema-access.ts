import type { Selectable } from "kysely";

/** Keys, tenants, projects, quotas and the policy; forms as in `schema.ts`. */
export interface KeyTable {
  id: string;
  /** sha256 of the key, hex. The key itself is never stored. */
  hash: string;
  name: string;
  tenant: string;
  scopes: string;
  created_at: number;
  revoked_at: number | null;
  last_used_at: number | null;
  project: string | null;
  role: string | null;
  labels: string;
  expires_at: number | null;
  rotated_at: number | null;
  /** The secret of before the last rotation, which works until `old_until`. */
  old_hash: string | null;
  old_until: number | null;
}

export interface TenantTable {
  name: string;
  description: string | null;
  created_at: number;
  suspended_at: number | null;
}

export interface ProjectTable {
  tenant: string;
  name: string;
  description: string | null;
  created_at: number;
}

export interface QuotaTable {
  /** `tenant:T`, `project:T/P` or `key:ID`. */
  subject: string;
  concurrent: number | null;
  creates_per_minute: number | null;
  updated_at: number;
}

/** What an operator says of a profile's version; version 0: of every one that says nothing itself. */
export interface ProfileLabelsTable {
  tenant: string;
  name: string;
  version: number;
  /** JSON list. */
  labels: string;
  updated_at: number;
}

/** Append only; the newest is in force. */
export interface PolicyTable {
  version: number;
  digest: string;
  /** JSON list of the contract's `PolicyFile`; empty: no policy. */
  files: string;
  rules: number;
  comment: string | null;
  applied_at: number;
  applied_by: string | null;
  restores: number | null;
}

export type KeyRow = Selectable<KeyTable>;
export type TenantRow = Selectable<TenantTable>;
export type ProjectRow = Selectable<ProjectTable>;
export type QuotaRow = Selectable<QuotaTable>;
export type PolicyRow = Selectable<PolicyTable>;

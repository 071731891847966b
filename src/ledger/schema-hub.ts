import type { Selectable, Updateable } from "kysely";

/** Where events are told to. A removed one keeps its row, without its secrets. */
export interface WebhookTable {
  id: string;
  tenant: string;
  url: string;
  /** JSON: an array of filters; null: all types. */
  types: string | null;
  format: "structured" | "batch";
  description: string;
  /** 1: every tenant's events. */
  all_tenants: number;
  /** 1: the operator on the machine added it, so it may reach private addresses. */
  trusted: number;
  max_attempts: number;
  /** Sealed for this webhook and version. */
  secret: string;
  previous_secret: string | null;
  /** Until when the secret before this one signs too. */
  previous_until: number | null;
  secret_version: number;
  enabled: number;
  disabled_reason: string | null;
  /** `seq` up to which nothing is left to do. */
  cursor_seq: number;
  /** Attempts in a row that failed, of what stands next. */
  failures: number;
  last_status: number | null;
  last_error: string | null;
  last_attempt_at: number | null;
  last_success_at: number | null;
  next_attempt_at: number | null;
  /** The process that delivers it, and until when nobody else does. */
  leased_by: string | null;
  leased_until: number | null;
  created_at: number;
  rotated_at: number | null;
  removed_at: number | null;
}

/** The newest delivered events of a webhook, and every one that was given up. */
export interface WebhookDeliveryTable {
  webhook_id: string;
  seq: number;
  state: "delivered" | "dead" | "queued";
  attempts: number;
  status: number | null;
  error: string | null;
  at: number;
}

/** Append only: each row's hash is over the one before it. */
export interface AuditTable {
  seq: number;
  at: number;
  tenant: string;
  actor: string;
  /** JSON: address and request id. */
  origin: string;
  action: string;
  target: string | null;
  result: "ok" | "denied";
  /** JSON. */
  detail: string;
  prev_hash: string;
  hash: string;
}

export type WebhookRow = Selectable<WebhookTable>;
export type WebhookPatch = Updateable<WebhookTable>;
export type WebhookDeliveryRow = Selectable<WebhookDeliveryTable>;
export type AuditRow = Selectable<AuditTable>;

/** The hub's part of the schema. */
export interface HubTables {
  webhooks: WebhookTable;
  webhook_deliveries: WebhookDeliveryTable;
  audit_log: AuditTable;
}

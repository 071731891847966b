import type { WebhookInfo } from "../../contract/index.ts";
import { countDead, type Db, newestEvent, type WebhookRow } from "../../ledger/index.ts";

/** A row as everyone may see it. Two look-ups by index. */
export async function toWebhookInfo(db: Db, row: WebhookRow): Promise<WebhookInfo> {
  const time = (ms: number | null) => (ms === null ? null : new Date(ms).toISOString());
  return {
    id: row.id, object: "webhook", tenant: row.tenant, url: row.url, types: row.types === null ? null : (JSON.parse(row.types) as string[]),
    format: row.format, description: row.description, all_tenants: row.all_tenants === 1, max_attempts: row.max_attempts,
    enabled: row.enabled === 1, disabled_reason: row.disabled_reason, cursor: row.cursor_seq, newest: await newestEvent(db),
    dead_letters: await countDead(db, row.id), failures: row.failures, last_status: row.last_status, last_error: row.last_error,
    last_attempt_at: time(row.last_attempt_at), last_success_at: time(row.last_success_at), next_attempt_at: time(row.next_attempt_at),
    created_at: new Date(row.created_at).toISOString(), rotated_at: time(row.rotated_at),
  }; // prettier-ignore
}

import { newId, type Principal, type WebhookInfo } from "../../src/contract/index.ts";

/** A webhook of the tenant that has never been told anything. */
export function tinyWebhook({ tenant }: Principal): WebhookInfo {
  return {
      id: newId("webhook"), object: "webhook", tenant, url: "https://hooks.example.com/", types: null, format: "structured", description: "",
      all_tenants: false, max_attempts: 16, enabled: true, disabled_reason: null, cursor: 0, newest: 0, dead_letters: 0, failures: 0,
      last_status: null, last_error: null, last_attempt_at: null, last_success_at: null, next_attempt_at: null,
      created_at: new Date().toISOString(), rotated_at: null,
    }; // prettier-ignore
}

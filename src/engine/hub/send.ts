import { CLOUD_EVENT, CLOUD_EVENTS_BATCH, type CloudEvent, SandboxerError } from "../../contract/index.ts";
import { Forbidden, Outbound } from "../../guard/outbound/post.ts";
import type { WebhookRow } from "../../ledger/index.ts";
import type { Context } from "../context.ts";
import { signatureHeaders } from "./signature.ts";

/** How long a receiver may take. Milliseconds. */
const ANSWER_MS = 15_000;
/** Statuses that say nothing of what was sent: the receiver is not there, or has too much to do. */
const DOWN: ReadonlySet<number> = new Set([408, 425, 429, 502, 503, 504]);

/**
 * How one request went. `refused`: the receiver does not want these events; `down`: it could not be asked, whatever is sent;
 * `gone`: it wants no more (410).
 */
export interface Sent {
  readonly result: "ok" | "refused" | "down" | "gone";
  readonly status: number | null;
  readonly error: string | null;
  readonly retryAfterMs: number | null;
}

/** Whether a status, or the want of one, says that the receiver is down. */
export function saysDown(status: number | null): boolean {
  return status === null || DOWN.has(status);
}

/** The context that a webhook's secret is sealed for. */
export function sealContext(id: string, version: number): string {
  return `webhook\0${id}\0${version}`;
}

/** Signs and posts. Those that the operator on this machine has added go anywhere, all others where the operator lets them. */
export class Sender {
  readonly #ctx: Context;
  readonly #guarded: Outbound;
  readonly #trusted = new Outbound({ allow: [], anywhere: true });

  constructor(ctx: Context) {
    this.#ctx = ctx;
    this.#guarded = new Outbound({ allow: ctx.config.webhooks?.allow ?? [], anywhere: false });
  }

  /** Never throws. The ids make it the same message however often it is sent. */
  async send(row: WebhookRow, events: readonly CloudEvent[], { batch, signal }: { batch: boolean; signal: AbortSignal }): Promise<Sent> {
    const [first] = events;
    if (first === undefined) return { result: "ok", status: null, error: null, retryAfterMs: null };
    const body = JSON.stringify(batch ? events : first);
    const last = events.at(-1)?.id ?? first.id;
    const name = `${first.source.slice(first.source.lastIndexOf(":") + 1)}.${row.id}.${first.id}${batch ? `-${last}` : ""}`;
    let sent: Sent;
    try {
      const headers = {
        "content-type": `${batch ? CLOUD_EVENTS_BATCH : CLOUD_EVENT}; charset=utf-8`,
        "user-agent": "sand-boxer-webhooks/1",
        ...signatureHeaders(name, this.#ctx.clock.now(), body, this.#secrets(row)),
      };
      const outbound = row.trusted === 1 ? this.#trusted : this.#guarded;
      const late = AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)]);
      const { status, retryAfterMs } = await outbound.post(new URL(row.url), headers, body, late);
      sent = { ...judge(status), status, retryAfterMs };
    } catch (thrown) {
      sent = { result: thrown instanceof Forbidden ? "refused" : "down", status: null, error: reason(thrown), retryAfterMs: null };
    }
    this.#ctx.measure.count("sandboxer_webhook_attempts_total", { result: sent.result });
    return sent;
  }

  #secrets(row: WebhookRow): string[] {
    const sealer = this.#ctx.sealer();
    const secrets = [sealer.open(row.secret, sealContext(row.id, row.secret_version))];
    if (row.previous_secret !== null && (row.previous_until ?? 0) > this.#ctx.clock.now())
      secrets.push(sealer.open(row.previous_secret, sealContext(row.id, row.secret_version - 1)));
    return secrets;
  }

  close(): void {
    this.#guarded.close();
    this.#trusted.close();
  }
}

function judge(status: number): Pick<Sent, "result" | "error"> {
  if (status >= 200 && status < 300) return { result: "ok", error: null };
  if (status === 410) return { result: "gone", error: "it answered 410: it wants no more events" };
  if (DOWN.has(status)) return { result: "down", error: `it answered ${status}` };
  const moved = status >= 300 && status < 400;
  return { result: "refused", error: moved ? `it answered ${status}, and redirects are not followed` : `it answered ${status}` };
}

/** What stands in the ledger for a failure: its kind, and nothing of what was sent. */
function reason(thrown: unknown): string {
  if (thrown instanceof Forbidden || thrown instanceof SandboxerError) return thrown.message;
  if (thrown instanceof Error && (thrown.name === "TimeoutError" || thrown.name === "AbortError"))
    return `no answer within ${ANSWER_MS / 1000} s`;
  const code = thrown instanceof Error && "code" in thrown ? String(thrown.code) : "";
  return code === "" ? "the connection failed" : `the connection failed: ${code}`;
}

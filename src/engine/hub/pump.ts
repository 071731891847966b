import { type EventType, type LedgerEvent, toCloudEvent, typesMatching } from "../../contract/index.ts";
import {
  advanceWebhook, eventsBySeq, findWebhook, leaseWebhook, newestEvent, pruneDeliveries, putDelivery, queuedDeliveries, readEvents,
  releaseWebhook, updateWebhook, type WebhookPatch, type WebhookRow,
} from "../../ledger/index.ts"; // prettier-ignore
import type { Context } from "../context.ts";
import { backoff, LONGEST_WAIT_MS } from "./backoff.ts";
import { saysDown, type Sender, type Sent } from "./send.ts";
import { eventSource } from "./source.ts";

/** Events held in memory for one webhook, and the most that go into one batch. */
const PAGE = 100;
/** How long another process leaves a webhook alone. Several times what one request may take. */
const LEASE_MS = 60_000;
/** Time after which another webhook has its turn. */
const TURN_MS = 10_000;
/** Delivered events that are remembered. */
const KEEP_DELIVERED = 500;
/** Events that were passed over without interest before the place is written down. */
const WRITE_PLACE_EVERY = 1000;
/** About five days of a receiver that is down. Its place is kept: once it is enabled again, nothing is missing. */
const GIVE_UP_AFTER = 500;

/** What a pump knows between its turns: up to where nothing was of interest, from which place and with which filter. */
export type Passed = Map<string, { readonly from: string; readonly upTo: number }>;

interface Pump {
  readonly ctx: Context;
  readonly sender: Sender;
  readonly passed: Passed;
  readonly signal: AbortSignal;
}

/**
 * Tells one webhook what it has not been told, in the order of the ledger, until there is nothing, something fails, or its turn is
 * over. Its place is a number in the ledger that moves after the answer: whoever is killed in between tells the same event again.
 */
export async function pump(work: Pump, id: string): Promise<void> {
  const { ctx, signal } = work;
  const until = performance.now() + TURN_MS;
  let leased = false;
  try {
    while (!signal.aborted && performance.now() < until) {
      const row = await findWebhook(ctx.ledger.db, id);
      const now = ctx.clock.now();
      if (row === undefined || row.enabled === 0 || waits(row, now)) return;
      const next = await nextFor(work, row);
      if (next === undefined) return;
      if (!(await leaseWebhook(ctx.ledger.db, id, { by: ctx.instance, now, until: now + LEASE_MS }))) return;
      leased = true;
      if (!(await tell(work, row, next))) return;
    }
  } finally {
    if (leased) await releaseWebhook(ctx.ledger.db, id, ctx.instance);
  }
}

/** Whether its next attempt is still to come. */
export function waits({ next_attempt_at: due }: WebhookRow, now: number): boolean {
  return due !== null && due > now && due - now <= LONGEST_WAIT_MS;
}

interface Next {
  readonly events: readonly LedgerEvent[];
  /** A dead letter that is tried again; its place in the order is lost. */
  readonly again: boolean;
}

async function nextFor({ ctx, passed }: Pump, row: WebhookRow): Promise<Next | undefined> {
  const { db } = ctx.ledger;
  const [queued] = await queuedDeliveries(db, row.id, 1);
  if (queued !== undefined) {
    const events = await eventsBySeq(db, [queued.seq]);
    if (events.length > 0) return { events, again: true };
    await putDelivery(db, { ...queued, state: "dead", error: "the event is no longer kept", at: ctx.clock.now() });
  }
  const from = `${row.cursor_seq} ${row.types ?? ""}`;
  const known = passed.get(row.id);
  const after = known?.from === from ? Math.max(known.upTo, row.cursor_seq) : row.cursor_seq;
  const newest = await newestEvent(db);
  if (newest <= after) return undefined;
  const events = await readEvents(db, { ...interest(row), after, limit: row.failures > 0 ? 1 : PAGE });
  if (events.length > 0) return { events, again: false };
  passed.set(row.id, { from, upTo: newest });
  if (newest - row.cursor_seq > WRITE_PLACE_EVERY && (await takes(ctx, row))) await advanceWebhook(db, row.id, ctx.instance, row.cursor_seq, { cursor_seq: newest, leased_by: null, leased_until: null }); // prettier-ignore
  return undefined;
}

function takes(ctx: Context, { id }: WebhookRow): Promise<boolean> {
  const now = ctx.clock.now();
  return leaseWebhook(ctx.ledger.db, id, { by: ctx.instance, now, until: now + LEASE_MS });
}

function interest(row: WebhookRow): { tenant?: string; types?: readonly EventType[] } {
  return {
    ...(row.all_tenants === 1 ? {} : { tenant: row.tenant }),
    ...(row.types === null ? {} : { types: typesMatching(JSON.parse(row.types) as string[]) }),
  };
}

/** Sends what is next, one by one or as one batch. False where it goes on later, or not at all. */
async function tell(work: Pump, row: WebhookRow, { events, again }: Next): Promise<boolean> {
  const batch = row.format === "batch" && !again;
  const groups = batch ? [events] : events.map((event) => [event]);
  let current = row;
  for (const group of groups) {
    if (work.signal.aborted) return false;
    work.ctx.failpoint("webhook.before_send");
    const source = await eventSource(work.ctx);
    const told = group.map((event) => toCloudEvent(event, source));
    const sent = await work.sender.send(current, told, { batch: row.format === "batch", signal: work.signal });
    if (sent.result !== "ok" && work.signal.aborted) return false;
    work.ctx.failpoint("webhook.after_send");
    const moved = again ? await settleAgain(work.ctx, current, group, sent) : await settle(work.ctx, current, group, sent);
    work.ctx.failpoint("webhook.after_advance");
    if (moved === undefined) return false;
    current = moved;
    // A long page outlives the lease otherwise.
    if (groups.length > 1 && !(await takes(work.ctx, row))) return false;
  }
  return true;
}

/** Writes down what became of it and moves the place. undefined: it is tried again later, or someone else goes on. */
async function settle(ctx: Context, row: WebhookRow, events: readonly LedgerEvent[], sent: Sent): Promise<WebhookRow | undefined> {
  const at = ctx.clock.now();
  const attempts =
    sent.result !== "ok" && row.failures > 0 && saysDown(row.last_status) !== (sent.result === "down") ? 1 : row.failures + 1;
  const last = events.at(-1);
  const alone = events.length === 1;
  const dead = sent.result === "refused" && alone && attempts >= row.max_attempts;
  const done = sent.result === "ok" || dead;
  const patch: WebhookPatch = {
    ...after(row, sent, attempts, at),
    ...(done ? { cursor_seq: last?.seq ?? row.cursor_seq, failures: 0, next_attempt_at: null } : {}),
  };
  const moved = await ctx.ledger.transaction(async (tx) => {
    if (!(await advanceWebhook(tx, row.id, ctx.instance, row.cursor_seq, patch))) return false;
    if (!done) return true;
    for (const { seq } of events) {
      await putDelivery(tx, {
        webhook_id: row.id,
        seq,
        state: dead ? "dead" : "delivered",
        attempts,
        status: sent.status,
        error: sent.error,
        at,
      });
    }
    if (last !== undefined && last.seq % 50 === 0) await pruneDeliveries(tx, row.id, last.seq - KEEP_DELIVERED);
    return true;
  });
  if (dead)
    ctx.log.warn({ webhook: row.id, seq: last?.seq, status: sent.status }, "an event is a dead letter: its receiver refused it too often");
  return moved && done ? { ...row, ...(patch as Partial<WebhookRow>) } : undefined;
}

/** The same for a dead letter: refused once more it is dead again, and the place is not touched. */
async function settleAgain(ctx: Context, row: WebhookRow, [event]: readonly LedgerEvent[], sent: Sent): Promise<WebhookRow | undefined> {
  const at = ctx.clock.now();
  const done = sent.result === "ok" || sent.result === "refused";
  const patch = { ...after(row, sent, row.failures + 1, at), ...(done ? { failures: 0, next_attempt_at: null } : {}) };
  await ctx.ledger.transaction(async (tx) => {
    await updateWebhook(tx, row.id, patch);
    if (!done || event === undefined) return;
    const state = sent.result === "ok" ? "delivered" : "dead";
    await putDelivery(tx, { webhook_id: row.id, seq: event.seq, state, attempts: 1, status: sent.status, error: sent.error, at });
  });
  return done ? { ...row, ...(patch as Partial<WebhookRow>) } : undefined;
}

function after(row: WebhookRow, sent: Sent, attempts: number, at: number): WebhookPatch {
  const seen = { last_status: sent.status, last_error: sent.error, last_attempt_at: at };
  if (sent.result === "ok") return { ...seen, last_success_at: at };
  const ends = sent.result === "gone" || (sent.result === "down" && attempts >= GIVE_UP_AFTER);
  return {
    ...seen,
    failures: attempts,
    next_attempt_at: at + backoff(attempts, sent.retryAfterMs),
    ...(ends ? { enabled: 0, disabled_reason: sent.error ?? "it was down for too long", failures: 0, next_attempt_at: null } : {}),
  };
}

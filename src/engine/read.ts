import { promises as timers } from "node:timers";
import {
  type EventPage,
  isId,
  type LedgerEvent,
  type Principal,
  type Sandbox,
  SandboxerError,
  type SandboxPage,
  type Usage,
} from "../contract/index.ts";
import { findNetwork, listSandboxes, readEvents } from "../ledger/index.ts";
import { accessibleSandbox, requireAdmin } from "./access.ts";
import { type Context, op } from "./context.ts";
import type { Engine, EventQuery } from "./engine.ts";
import { withCost, withCosts } from "./money/cost.ts";
import { viewOf } from "./network/read.ts";
import { allow } from "./lifecycle.ts";
import { handleOf } from "./use.ts";
import { toSandbox } from "./view.ts";

/** Between looks for events that another process wrote. */
const LOOK_MS = 250;

export async function get(ctx: Context, who: Principal, id: string): Promise<Sandbox> {
  return withCost(ctx, toSandbox(await accessibleSandbox(ctx, who, id)));
}

/** Newest first. The cursor is the last id of a page: pages stay right while sandboxes come and go. */
export async function list(ctx: Context, who: Principal, query: Parameters<Engine["list"]>[1]): Promise<SandboxPage> {
  if (query.allTenants === true) requireAdmin(who, "all_tenants");
  if (query.cursor !== undefined && !isId("sandbox", query.cursor)) {
    throw new SandboxerError("invalid_request", "cursor: not one that this API gave", {
      issues: [{ path: "cursor", message: "use next_cursor of the page before" }],
    });
  }
  const rows = await listSandboxes(ctx.ledger.db, {
    ...(query.allTenants === true ? {} : { tenant: who.tenant, ...projectOf(who) }),
    ...(query.states === undefined ? {} : { states: query.states }),
    ...(query.metadata === undefined ? {} : { metadata: query.metadata }),
    ...(query.cursor === undefined ? {} : { before: query.cursor }),
    limit: query.limit + 1,
  });
  const page = rows.slice(0, query.limit);
  return {
    object: "list",
    data: await withCosts(ctx, page.map(toSandbox)),
    next_cursor: rows.length > query.limit ? (page.at(-1)?.id ?? null) : null,
  };
}

/** What it uses now, from the backend. Does not count as use. */
export async function usage(ctx: Context, who: Principal, id: string): Promise<Usage> {
  const seen = await accessibleSandbox(ctx, who, id);
  if (seen.state !== "paused" && seen.state !== "suspended") allow(seen, "use");
  const { row, ref, provider } = await handleOf(ctx, seen);
  const observed = await provider.inspect(ref, op(ctx));
  if (observed === "absent")
    throw new SandboxerError("wrong_state", `backend ${row.backend} no longer has sandbox ${id}`, { phase: "usage", backend: row.backend });
  const network = await findNetwork(ctx.ledger.db, id);
  if (network === undefined) return observed.usage;
  const { bytes_up, bytes_down } = (await viewOf(ctx, row, network)).traffic;
  return { ...observed.usage, egress_bytes_up: bytes_up, egress_bytes_down: bytes_down };
}

const projectOf = ({ project }: Principal): { project?: string } => (project === undefined ? {} : { project });

async function scope(
  ctx: Context,
  who: Principal,
  { sandboxId, types }: EventQuery,
): Promise<EventQuery & { tenant?: string; project?: string }> {
  if (sandboxId !== undefined) await accessibleSandbox(ctx, who, sandboxId);
  const owner = who.scopes.includes("admin") ? {} : { tenant: who.tenant, ...projectOf(who) };
  return { ...owner, ...(sandboxId === undefined ? {} : { sandboxId }), ...(types === undefined ? {} : { types }) };
}

async function eventPage(ctx: Context, who: Principal, query: EventQuery & { limit: number }): Promise<EventPage> {
  const rows = await readEvents(ctx.ledger.db, {
    ...(await scope(ctx, who, query)),
    after: query.after ?? 0,
    limit: query.limit + 1,
  });
  const data = rows.slice(0, query.limit);
  return { object: "list", data, next_cursor: rows.length > query.limit ? String(data.at(-1)?.seq) : null };
}

async function* follow(ctx: Context, who: Principal, query: EventQuery, signal: AbortSignal): AsyncIterable<LedgerEvent> {
  const within = await scope(ctx, who, query);
  let after = query.after ?? 0;
  let written = Promise.withResolvers<void>();
  const stop = ctx.ledger.onEvents(() => written.resolve());
  const aborted = Promise.withResolvers<void>();
  const abort = () => aborted.resolve();
  signal.addEventListener("abort", abort, { once: true });
  try {
    while (!signal.aborted) {
      const page = await readEvents(ctx.ledger.db, { ...within, after, limit: 200 });
      for (const event of page) {
        yield event;
        after = event.seq;
      }
      if (page.length > 0) continue;
      const timer = new AbortController();
      await Promise.race([
        written.promise,
        aborted.promise,
        timers.setTimeout(LOOK_MS, undefined, { signal: timer.signal }).catch(() => undefined),
      ]);
      timer.abort();
      written = Promise.withResolvers<void>();
    }
  } finally {
    stop();
    signal.removeEventListener("abort", abort);
  }
}

export function events(ctx: Context, source: () => Promise<string>): Engine["events"] {
  return {
    source,
    list: (who, query) => eventPage(ctx, who, query),
    follow: (who, query, signal) => follow(ctx, who, query, signal),
  };
}

import { sql } from "kysely";
import { reachedFrom } from "./hosts.ts";
import type { SandboxState } from "../contract/index.ts";
import type { Db } from "./ledger.ts";
import type { NewSandboxRow, SandboxPatch, SandboxRow } from "./schema.ts";

export async function insertSandbox(tx: Db, row: NewSandboxRow, metadata: Readonly<Record<string, string>>): Promise<void> {
  await tx.insertInto("sandboxes").values(row).execute();
  const labels = Object.entries(metadata).map(([key, value]) => ({ tenant: row.tenant, key, value, sandbox_id: row.id }));
  if (labels.length > 0) await tx.insertInto("sandbox_metadata").values(labels).execute();
}

export async function findSandbox(db: Db, id: string): Promise<SandboxRow | undefined> {
  return db.selectFrom("sandboxes").selectAll().where("id", "=", id).executeTakeFirst();
}

/** Changes the row; its state only through the engine's lifecycle. */
export async function updateSandbox(tx: Db, id: string, patch: SandboxPatch): Promise<void> {
  await tx.updateTable("sandboxes").set(patch).where("id", "=", id).execute();
}

/**
 * All of a backend that have not ended and that host reaches (null: no host of a fleet), oldest first; bounded by
 * `max_sandboxes`.
 */
export async function liveSandboxes(db: Db, backend: string, host: string | null): Promise<SandboxRow[]> {
  return db
    .selectFrom("sandboxes")
    .selectAll()
    .where("ended_at", "is", null)
    .where("backend", "=", backend)
    .where(reachedFrom(host))
    .orderBy("id")
    .execute();
}

/** All that have not ended, oldest first; bounded by `max_sandboxes`. */
export async function liveAll(db: Db): Promise<SandboxRow[]> {
  return db.selectFrom("sandboxes").selectAll().where("ended_at", "is", null).orderBy("id").execute();
}

/** How many have not ended, by whose they are. */
export interface LiveCount {
  readonly tenant: string;
  readonly project: string | null;
  readonly key_id: string | null;
  readonly count: number;
}

/** Reads the live ones alone, however many have ended. */
export async function countLive(db: Db): Promise<LiveCount[]> {
  return db
    .selectFrom("sandboxes")
    .select(["tenant", "project", "key_id", sql<number>`count(*)`.as("count")])
    .where("ended_at", "is", null)
    .groupBy(["tenant", "project", "key_id"])
    .execute();
}

/** Live ones by state and backend, for the metrics page. */
export async function countLiveByState(db: Db): Promise<{ state: SandboxState; backend: string; count: number }[]> {
  return db
    .selectFrom("sandboxes")
    .select(["state", "backend", sql<number>`count(*)`.as("count")])
    .where("ended_at", "is", null)
    .groupBy(["state", "backend"])
    .execute();
}

export interface SandboxQuery {
  /** undefined: every tenant's. */
  tenant?: string;
  /** undefined: every project's, and those of none. */
  project?: string;
  states?: readonly SandboxState[];
  metadata?: Readonly<Record<string, string>>;
  /** Only ids before this one. */
  before?: string;
  limit: number;
}

/** Newest first. One index walk a state, merged here: a sort in SQL would read every finished sandbox. */
export async function listSandboxes(db: Db, query: SandboxQuery): Promise<SandboxRow[]> {
  const states = query.states === undefined || query.states.length === 0 ? [undefined] : [...new Set(query.states)];
  const pages = await Promise.all(states.map((state) => listInState(db, query, state)));
  if (pages.length === 1) return pages[0] ?? [];
  return pages
    .flat()
    .sort((a, b) => (a.id < b.id ? 1 : -1))
    .slice(0, query.limit);
}

async function listInState(db: Db, query: SandboxQuery, state: SandboxState | undefined): Promise<SandboxRow[]> {
  const [first, ...more] = Object.entries(query.metadata ?? {});
  if (first === undefined) {
    let select = db.selectFrom("sandboxes").selectAll();
    if (query.tenant !== undefined) select = select.where("tenant", "=", query.tenant);
    if (query.project !== undefined) select = select.where("project", "=", query.project);
    if (state !== undefined) select = select.where("state", "=", state);
    if (query.before !== undefined) select = select.where("id", "<", query.before);
    return select.orderBy("id", "desc").limit(query.limit).execute();
  }
  // Walks the label's index backwards and looks up each sandbox: the first label decides how much is read.
  let select = db
    .selectFrom("sandbox_metadata as label")
    .innerJoin("sandboxes", "sandboxes.id", "label.sandbox_id")
    .selectAll("sandboxes")
    .where("label.key", "=", first[0])
    .where("label.value", "=", first[1]);
  if (query.tenant !== undefined) select = select.where("label.tenant", "=", query.tenant);
  if (query.project !== undefined) select = select.where("sandboxes.project", "=", query.project);
  if (state !== undefined) select = select.where("sandboxes.state", "=", state);
  if (query.before !== undefined) select = select.where("label.sandbox_id", "<", query.before);
  for (const [key, value] of more) {
    select = select.where((eb) =>
      eb.exists(
        eb
          .selectFrom("sandbox_metadata as other")
          .select("other.key")
          .where("other.key", "=", key)
          .where("other.value", "=", value)
          .whereRef("other.sandbox_id", "=", "label.sandbox_id"),
      ),
    );
  }
  return select.orderBy("label.sandbox_id", "desc").limit(query.limit).execute();
}

/**
 * Live ones that host reaches, whose ttl, max_life or idle clock has run out. An open exec holds the idle clock; what stands still has
 * none.
 */
export async function dueSandboxes(db: Db, now: number, host: string | null): Promise<SandboxRow[]> {
  const live = () =>
    db
      .selectFrom("sandboxes")
      .selectAll("sandboxes")
      .where("ended_at", "is", null)
      .where("state", "not in", ["stopping", "provisioning"])
      .where(reachedFrom(host));
  const [expired, worn, idle] = await Promise.all([
    live().where("expires_at", "<=", now).execute(),
    live().where("max_life_at", "<=", now).execute(),
    live()
      .where("idle_at", "is not", null)
      .where("idle_at", "<=", now)
      .where("state", "not in", ["paused", "suspended"])
      .where((eb) =>
        eb.not(
          eb.exists(
            eb.selectFrom("execs").select("execs.id").whereRef("execs.sandbox_id", "=", "sandboxes.id").where("execs.ended_at", "is", null),
          ),
        ),
      )
      .execute(),
  ]);
  return [...new Map([...expired, ...worn, ...idle].map((row) => [row.id, row])).values()];
}

/** Moves every live deadline by so many milliseconds: the wall clock was set. */
export async function shiftDeadlines(tx: Db, by: number): Promise<void> {
  await tx
    .updateTable("sandboxes")
    .set((row) => ({
      expires_at: row("expires_at", "+", by),
      max_life_at: row("max_life_at", "+", by),
      last_active_at: row("last_active_at", "+", by),
      idle_at: row("idle_at", "+", by),
    }))
    .where("ended_at", "is", null)
    .execute();
  await tx
    .updateTable("published_ports")
    .set((row) => ({ expires_at: row("expires_at", "+", by) }))
    .where("expires_at", "is not", null)
    .execute();
}

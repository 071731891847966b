import type { ScopeKind } from "../contract/index.ts";
import type { Db } from "./ledger.ts";
import type { SandboxRow } from "./schema.ts";

/** By which a sandbox is found again. A project's keys are its own. */
export interface Scope {
  readonly tenant: string;
  readonly project: string | null;
  readonly profile: string;
  readonly kind: ScopeKind;
  readonly key: string;
}

function inScope(db: Db, { tenant, project, profile, kind, key }: Scope) {
  return db
    .selectFrom("sandboxes")
    .selectAll()
    .where("tenant", "=", tenant)
    .where("project", project === null ? "is" : "=", project)
    .where("profile_name", "=", profile)
    .where("scope", "=", kind)
    .where("scope_key", "=", key);
}

/** The one that has the key now; one that is ending has let go of it. One at most. */
export async function findInScope(db: Db, scope: Scope): Promise<SandboxRow | undefined> {
  return inScope(db, scope).where("ended_at", "is", null).where("state", "<>", "stopping").executeTakeFirst();
}

/** The newest that ever had the key and was ready; undefined: none, or it is forgotten. */
export async function lastInScope(db: Db, scope: Scope): Promise<SandboxRow | undefined> {
  return inScope(db, scope).where("ready_at", "is not", null).orderBy("id", "desc").limit(1).executeTakeFirst();
}

import type { Generated } from "kysely";
import type { Persistence, RestState, Sandbox, ScopeKind } from "../contract/index.ts";

/** How a sandbox stands still, and by which key it is found again. */
export interface RestColumns {
  persistence: Generated<Persistence>;
  on_idle: Generated<Sandbox["lifetime"]["on_idle"]>;
  on_expire: Generated<Sandbox["lifetime"]["on_expire"]>;
  on_use: Generated<Sandbox["lifetime"]["on_use"]>;
  /** What the ttl clock is set to where it is woken after that has run out; null: a sandbox of before there was one. */
  ttl_seconds: Generated<number | null>;
  /** Since when it is paused or suspended; null: it is not. */
  rested_at: Generated<number | null>;
  rest_because: Generated<NonNullable<Sandbox["resting"]>["because"] | null>;
  /** What a file on its disk says that was written before it last stood still, or when it was made; null: nothing was written. */
  canary: Generated<string | null>;
  scope: Generated<ScopeKind | null>;
  scope_key: Generated<string | null>;
}

/** How long of a stay it stood still. */
export interface UsageRestColumns {
  paused_ms: Generated<number>;
  suspended_ms: Generated<number>;
  /** The beginning of the rest that is under way, and which it is. */
  rest_since: Generated<number | null>;
  rest_kind: Generated<RestState | null>;
}

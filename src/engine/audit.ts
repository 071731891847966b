import type { AuditResult, Principal } from "../contract/index.ts";
import { auditHead, type AuditRow, type Db, insertAudit, writeMeta } from "../ledger/index.ts";
import { canonicalJson, sha256 } from "./canonical.ts";

/** What stands before the first row. */
export const GENESIS = "0".repeat(64);

/** The entry of `meta` that says where the log ends: one from which only the last rows were taken is found out. */
export const AUDIT_HEAD = "audit_head";

/** An administrative or security-relevant act, as its verb tells it. `detail` holds names, versions and scopes: never a secret, a key or a value. */
export interface Act {
  readonly action: string;
  readonly at: number;
  /** An id or a name. */
  readonly target: string | null;
  /** ok unless given. */
  readonly result?: AuditResult;
  readonly detail?: Readonly<Record<string, unknown>>;
}

/** The hash of a row: sha256 over the one before it, a line feed and the canonical JSON of everything else. */
export function auditHash({ hash: _hash, prev_hash, ...row }: AuditRow): string {
  return sha256(`${prev_hash}\n${canonicalJson(row)}`);
}

/** Who acts, as the log has it. */
function actorOf({ key_id, scopes }: Principal): string {
  if (key_id !== null) return key_id;
  return scopes.includes("admin") ? "local" : scopes.length === 0 ? "anonymous" : "system";
}

/**
 * Appends to the audit log in the transaction that does what it tells of: neither is there without the other. Costs one look-up of the
 * head by its key, two hashes and one row. The transaction must be one of `ledger.transaction`: see `auditHead`.
 */
export async function audit(tx: Db, who: Principal, { action, at, target, result = "ok", detail = {} }: Act): Promise<void> {
  const head = await auditHead(tx);
  const row = {
    seq: (head?.seq ?? 0) + 1,
    at,
    tenant: who.tenant,
    actor: actorOf(who),
    origin: canonicalJson({ address: who.origin?.address ?? null, request_id: who.origin?.request_id ?? null }),
    action,
    target,
    result,
    detail: canonicalJson(detail),
    prev_hash: head?.hash ?? GENESIS,
    hash: "",
  };
  const hash = auditHash(row);
  await insertAudit(tx, { ...row, hash });
  await writeMeta(tx, AUDIT_HEAD, JSON.stringify({ seq: row.seq, hash }));
}

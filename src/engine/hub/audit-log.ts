import { appendFileSync } from "node:fs";
import {
  type AuditAnchor, type AuditEntry, type AuditPage, type AuditReport, AuditVerifyRequest, parse, type Principal, SandboxerError,
} from "../../contract/index.ts"; // prettier-ignore
import { appendEvent, auditHead, type AuditRow, readAudit, readMeta, writeMeta } from "../../ledger/index.ts";
import { requireAdmin } from "../access.ts";
import { AUDIT_HEAD, auditHash, GENESIS } from "../audit.ts";
import type { Context } from "../context.ts";
import type { AuditQuery } from "../engine.ts";

const PAGE = 500;
const ANCHOR_KEY = "audit_anchor";
const DEFAULT_ANCHOR_SECONDS = 3600;

function toEntry(row: AuditRow): AuditEntry {
  return {
    ...row,
    at: new Date(row.at).toISOString(),
    origin: JSON.parse(row.origin) as AuditEntry["origin"],
    detail: JSON.parse(row.detail) as Record<string, unknown>,
  };
}

/** Oldest first. Needs the admin scope: it is of every tenant. */
export async function auditPage(ctx: Context, who: Principal, { after = 0, limit, ...filters }: AuditQuery): Promise<AuditPage> {
  requireAdmin(who, "reading the audit log");
  const rows = await readAudit(ctx.ledger.db, { ...filters, after, limit: limit + 1 });
  const data = rows.slice(0, limit).map(toEntry);
  return { object: "list", data, next_cursor: rows.length > limit ? String(data.at(-1)?.seq) : null };
}

type Problem = NonNullable<AuditReport["problem"]>;

function faultOf(row: AuditRow, head: AuditAnchor): Problem | null {
  const { seq } = row;
  if (seq !== head.seq + 1)
    return { seq: head.seq + 1, kind: "missing", message: `entry ${head.seq + 1} is missing: ${seq} follows ${head.seq}` };
  if (auditHash(row) !== row.hash) return { seq, kind: "changed", message: `entry ${seq} is not what it was when it was written` };
  if (row.prev_hash === head.hash) return null;
  return {
    seq,
    kind: "order",
    message: `entry ${seq} does not follow the one that stands before it: it or its predecessor was replaced or moved`,
  };
}

/**
 * Reads the whole log, and says where it is not what was written. Its cost grows with the log. What was cut off its end is found by the
 * record of its end beside it, and, where that was changed too or the whole ledger put back, by anchors that were kept elsewhere.
 */
export async function verifyAudit(ctx: Context, who: Principal, input: AuditVerifyRequest): Promise<AuditReport> {
  requireAdmin(who, "verifying the audit log");
  const given = parse(AuditVerifyRequest, input, { what: "request" }).anchors ?? [];
  const kept = await Promise.all([ANCHOR_KEY, AUDIT_HEAD].map((key: string) => readMeta(ctx.ledger.db, key)));
  const own = kept.flatMap((text) => (text === undefined ? [] : [JSON.parse(text) as AuditAnchor]));
  const anchors = [...given, ...own].toSorted((a, b) => a.seq - b.seq);
  let head: AuditAnchor = { seq: 0, hash: GENESIS };
  let next = 0;
  const answer = (problem: Problem | null): AuditReport => ({
    object: "audit_report", ok: problem === null, entries: head.seq, head, anchors: anchors.length, problem,
  }); // prettier-ignore
  for (let more = true; more;) {
    const rows = await readAudit(ctx.ledger.db, { after: head.seq, limit: PAGE });
    more = rows.length > 0;
    for (const row of rows) {
      const fault = faultOf(row, head);
      if (fault !== null) return answer(fault);
      head = { seq: row.seq, hash: row.hash, at: new Date(row.at).toISOString() };
      for (let anchor = anchors[next]; anchor !== undefined && anchor.seq <= row.seq; anchor = anchors[++next]) {
        if (anchor.seq === row.seq && anchor.hash !== row.hash)
          return answer({
            seq: row.seq,
            kind: "anchor",
            message: `entry ${row.seq} is not the one that was anchored: the log was written anew`,
          });
      }
    }
  }
  const beyond = anchors.at(-1);
  if (beyond !== undefined && beyond.seq > head.seq)
    return answer({
      seq: head.seq + 1,
      kind: "truncated",
      message: `the log ends at ${head.seq}, and an anchor says that it had ${beyond.seq} entries`,
    });
  return answer(null);
}

/**
 * Where the log has grown and the time has come: its head as an event, in the ledger's own record, and as a line of the operator's file.
 */
export async function anchorAudit(ctx: Context, { now = false }: { now?: boolean } = {}): Promise<AuditAnchor | null> {
  const { anchor_every = DEFAULT_ANCHOR_SECONDS, anchor_file } = ctx.config.audit ?? {};
  const at = ctx.clock.now();
  const anchor = await ctx.ledger.transaction(async (tx) => {
    const kept = await readMeta(tx, ANCHOR_KEY);
    const last = kept === undefined ? undefined : (JSON.parse(kept) as AuditAnchor & { at: string });
    const head = await auditHead(tx);
    if (
      head === undefined ||
      (!now && last !== undefined && (last.seq === head.seq || Math.abs(at - Date.parse(last.at)) < anchor_every * 1000))
    )
      return null;
    const fresh: AuditAnchor = { seq: head.seq, hash: head.hash, at: new Date(at).toISOString() };
    // A log that is shorter than it was must not make the anchor that says so go away.
    if (last !== undefined && last.seq > head.seq) return last;
    await writeMeta(tx, ANCHOR_KEY, JSON.stringify(fresh));
    await appendEvent(tx, { type: "audit.anchored", at, tenant: "default", sandboxId: null, data: { ...fresh } });
    return fresh;
  });
  if (anchor !== null && anchor_file !== undefined) {
    try {
      appendFileSync(anchor_file, `${JSON.stringify(anchor)}\n`, { mode: 0o600 });
    } catch (cause) {
      throw new SandboxerError("storage_unavailable", `the anchor of the audit log cannot be written to ${anchor_file}`, {
        phase: "audit",
        cause,
      });
    }
  }
  return anchor;
}

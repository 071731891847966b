import { z } from "zod";

/** What became of an act. */
export const AuditResult = z.enum(["ok", "denied"]);
export type AuditResult = z.infer<typeof AuditResult>;

/** One act, chained to the one before it: `hash` is sha256 over `prev_hash`, a line feed and the canonical JSON of all other fields but `hash`. */
export const AuditEntry = z
  .object({
    seq: z.int().meta({ description: "1, 2, 3 and so on: a gap is a fault." }),
    at: z.iso.datetime(),
    tenant: z.string().meta({ description: "Of who acted; empty where nobody could be told." }),
    actor: z.string().meta({ description: "A key's id, `local` for the operator on the machine, `anonymous`, or `system`." }),
    origin: z
      .object({ address: z.string().nullable(), request_id: z.string().nullable() })
      .meta({ description: "Where it came from: an address, `unix` for the Unix socket, null within the process." }),
    action: z.string().meta({ examples: ["key.created"] }),
    target: z.string().nullable().meta({ description: "What it was done to: an id or a name." }),
    result: AuditResult,
    detail: z.record(z.string(), z.unknown()).meta({ description: "Never a secret, a key or a value." }),
    prev_hash: z.string(),
    hash: z.string(),
  })
  .meta({ id: "AuditEntry" });
export type AuditEntry = z.infer<typeof AuditEntry>;

export const AuditPage = z
  .object({ object: z.literal("list"), data: z.array(AuditEntry), next_cursor: z.string().nullable() })
  .meta({ id: "AuditPage" });
export type AuditPage = z.infer<typeof AuditPage>;

/** The head of the chain at some time, kept elsewhere: what was cut off behind it since is found by it. */
export const AuditAnchor = z.strictObject({ seq: z.int().min(0), hash: z.string().regex(/^[0-9a-f]{64}$/), at: z.iso.datetime().optional() }).meta({ id: "AuditAnchor" }); // prettier-ignore
export type AuditAnchor = z.infer<typeof AuditAnchor>;

/** Body of `POST /v1/audit/verify`. */
export const AuditVerifyRequest = z
  .strictObject({ anchors: z.array(AuditAnchor).max(10_000).optional() })
  .meta({ id: "AuditVerifyRequest" });
export type AuditVerifyRequest = z.infer<typeof AuditVerifyRequest>;

/** Whether the chain is whole. */
export const AuditReport = z
  .object({
    object: z.literal("audit_report"),
    ok: z.boolean(),
    entries: z.int().meta({ description: "Read up to the end, or to the fault." }),
    head: AuditAnchor.meta({ description: "Of what was read without a fault; seq 0 where there is nothing." }),
    anchors: z.int().meta({ description: "How many anchors were held against it." }),
    problem: z
      .object({ seq: z.int(), kind: z.enum(["changed", "missing", "order", "truncated", "anchor"]), message: z.string() })
      .nullable(),
  })
  .meta({ id: "AuditReport" });
export type AuditReport = z.infer<typeof AuditReport>;

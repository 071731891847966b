import { z } from "zod";
import { AuditAnchor, AuditPage, AuditReport, AuditVerifyRequest } from "../../contract/index.ts";
import { json } from "../reply.ts";
import { defineRoute, type Route } from "../route.ts";
import { integer } from "../schemas.ts";

const tag = "Audit";
const AuditQuery = z.strictObject({
  after: integer({ min: 0, max: Number.MAX_SAFE_INTEGER, description: "Only entries after the one with this `seq`." }),
  limit: integer({ min: 1, max: 1000, description: "At most so many; 100 unless given." }),
  action: z.string().min(1).max(128).optional(),
  actor: z.string().min(1).max(128).optional().meta({ description: "A key's id, `local`, `anonymous` or `system`." }),
  target: z.string().min(1).max(256).optional(),
  result: z.enum(["ok", "denied"]).optional(),
});

/** The audit log. */
export const auditRoutes: readonly Route[] = [
  defineRoute(
    {
      method: "get",
      path: "/v1/audit",
      operation: "listAudit",
      tag,
      scope: "admin",
      summary: "Read the audit log",
      description: "Every administrative and security-relevant act of every tenant, refusals too, oldest first.",
      query: AuditQuery,
      exampleQuery: "after=0&limit=100",
      answers: { 200: { description: "A page in the order of `seq`.", content: { "application/json": AuditPage } } },
    },
    async (call) => {
      const { limit = 100, ...given } = call.query;
      const filters = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
      return json(call, 200, await call.engine.audit.list(call.who, { limit, ...filters }));
    },
  ),
  defineRoute(
    {
      method: "post",
      path: "/v1/audit/verify",
      operation: "verifyAudit",
      tag,
      scope: "admin",
      summary: "Check that the audit log is whole",
      description: "Reads all of it. A fault is in the report, with the entry where it begins.",
      body: AuditVerifyRequest,
      exampleBody: {},
      answers: { 200: { description: "What was found.", content: { "application/json": AuditReport } } },
      errors: ["storage_unavailable"],
    },
    async (call) => json(call, 200, await call.engine.audit.verify(call.who, call.body)),
  ),
  defineRoute(
    {
      method: "post",
      path: "/v1/audit/anchor",
      operation: "anchorAudit",
      tag,
      scope: "admin",
      summary: "Write the head of the audit log down now",
      description: "It becomes an event, and a line of the operator's file where one is configured.",
      answers: { 200: { description: "The head; null where the log is empty.", content: { "application/json": AuditAnchor.nullable() } } },
      errors: ["storage_unavailable"],
    },
    async (call) => json(call, 200, await call.engine.audit.anchor(call.who)),
  ),
];

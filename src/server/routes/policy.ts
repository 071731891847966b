import { z } from "zod";
import {
  PolicyApplied, PolicyApplyRequest, PolicyCheckRequest, PolicyDocument, PolicyExplainRequest, PolicyExplanation, PolicyReading, PolicyRollbackRequest,
  PolicyTestReport, PolicyTestRequest,
} from "../../contract/index.ts"; // prettier-ignore
import { json } from "../reply.ts";
import { defineRoute, type Route } from "../route.ts";
import { integer, PolicySchema, PolicyVersionList } from "../schemas.ts";

const tag = "Policy";
const answer = (description: string, schema: z.ZodType) => ({ description, content: { "application/json": schema } });
const files = [
  {
    name: "acme.cedar",
    text: '@id("people-may")\npermit (principal, action, resource);\n\n@id("acme-gvisor")\nforbid (principal in Tenant::"acme", action == Action::"sandbox.create", resource)\nunless { context.isolation_at_least.gvisor };\n',
  },
];
const request = { principal: { tenant: "acme", role: "agent" }, action: "sandbox.create", context: { isolation: "container" } };
const FAULTS = "A fault is `invalid_request` with an issue for each: `path` is file:line:column, `nearest` the name that was meant.";

/** The rules of admission. */
export const policyRoutes: readonly Route[] = [
  defineRoute(
    {
      method: "post",
      path: "/v1/policy/check",
      operation: "checkPolicy",
      tag,
      summary: "Read rules without applying them",
      description: FAULTS,
      scope: "admin",
      body: PolicyCheckRequest,
      exampleBody: { files },
      answers: { 200: answer("What they say.", PolicyReading) },
      errors: ["policy_unavailable"],
    },
    async (call) => json(call, 200, await call.engine.policy.check(call.who, call.body)),
  ),
  defineRoute(
    {
      method: "post",
      path: "/v1/policy/test",
      operation: "testPolicy",
      tag,
      summary: "Run cases against rules without applying them",
      scope: "admin",
      body: PolicyTestRequest,
      exampleBody: { files, cases: [{ name: "acme needs gVisor", request, expect: "deny", rule: "acme-gvisor" }] },
      answers: { 200: answer("Each case, and rules that decided in none.", PolicyTestReport) },
      errors: ["policy_unavailable"],
    },
    async (call) => json(call, 200, await call.engine.policy.test(call.who, call.body)),
  ),
  defineRoute(
    {
      method: "post",
      path: "/v1/policy/explain",
      operation: "explainPolicy",
      tag,
      summary: "Say which rules decide a request",
      description: "By what is in force, or by the files that are given. What the request leaves out has the defaults of a plain one.",
      scope: "admin",
      body: PolicyExplainRequest,
      exampleBody: { request, files },
      answers: { 200: answer("The decision, and what every rule says.", PolicyExplanation) },
      errors: ["policy_unavailable"],
    },
    async (call) => json(call, 200, await call.engine.policy.explain(call.who, call.body)),
  ),
  defineRoute(
    {
      method: "put",
      path: "/v1/policy",
      operation: "applyPolicy",
      tag,
      summary: "Put rules in force",
      description: `A new version, for the next request of every server over the ledger. ${FAULTS} Nothing changes then.`,
      scope: "admin",
      body: PolicyApplyRequest,
      exampleBody: { files, comment: "Acme moves to gVisor", expected_version: 3, dry_run: true },
      answers: { 200: answer("What is in force, and which live sandboxes it would refuse.", PolicyApplied) },
      errors: ["conflict", "policy_unavailable", "storage_unavailable"],
    },
    async (call) => json(call, 200, await call.engine.policy.apply(call.who, call.body)),
  ),
  defineRoute(
    {
      method: "post",
      path: "/v1/policy/rollback",
      operation: "rollBackPolicy",
      tag,
      summary: "Put the rules of an earlier version in force again",
      scope: "admin",
      body: PolicyRollbackRequest,
      exampleBody: { version: 2 },
      answers: { 200: answer("What is in force: a new version with the old rules.", PolicyApplied) },
      errors: ["not_found", "policy_unavailable", "storage_unavailable"],
    },
    async (call) => json(call, 200, await call.engine.policy.rollback(call.who, call.body.version)),
  ),
  defineRoute(
    {
      method: "get",
      path: "/v1/policy",
      operation: "getPolicy",
      tag,
      summary: "Read the rules in force, or a version's",
      scope: "admin",
      query: z.strictObject({ version: integer({ min: 0, max: 1_000_000_000, description: "What is in force unless given." }) }),
      exampleQuery: "version=2",
      answers: { 200: answer("The version with its files.", PolicyDocument) },
      errors: ["not_found"],
    },
    async (call) => json(call, 200, await call.engine.policy.show(call.who, call.query.version)),
  ),
  defineRoute(
    {
      method: "get",
      path: "/v1/policy/schema",
      operation: "getPolicySchema",
      tag,
      summary: "Read the names that rules can use",
      scope: "admin",
      answers: { 200: answer("A Cedar schema, for editors and the cedar command.", PolicySchema) },
    },
    async (call) => json(call, 200, { object: "policy_schema", cedar: await call.engine.policy.schema(call.who) }),
  ),
  defineRoute(
    {
      method: "get",
      path: "/v1/policy/versions",
      operation: "listPolicyVersions",
      tag,
      summary: "List the versions of the policy, newest first",
      scope: "admin",
      answers: { 200: answer("The newest 200, without their files.", PolicyVersionList) },
    },
    async (call) => json(call, 200, { object: "list", data: await call.engine.policy.history(call.who) }),
  ),
];

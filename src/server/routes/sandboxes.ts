import { z } from "zod";
import {
  CreateRequest,
  Metadata,
  RenewRequest,
  Route as RouteDecision,
  Sandbox,
  SandboxPage,
  SANDBOX_STATES,
  nearest,
  type SandboxState,
  SandboxerError,
  Usage,
} from "../../contract/index.ts";
import { requireScope } from "../auth.ts";
import type { Call } from "../call.ts";
import { json } from "../reply.ts";
import { defineRoute, type Route } from "../route.ts";
import { flag, integer } from "../schemas.ts";
import { restRoutes } from "./rest.ts";

const tag = "Sandboxes";
const sandboxAnswer = (description: string) => ({ description, content: { "application/json": Sandbox } });

const States = z
  .string()
  .transform((text, context) =>
    text.split(",").map((name): SandboxState => {
      const state = SANDBOX_STATES.find((known) => known === name);
      if (state !== undefined) return state;
      const near = nearest(name, SANDBOX_STATES);
      context.addIssue({
        code: "custom",
        message: `unknown state "${name.slice(0, 64)}"${near === undefined ? "" : `; nearest: "${near}"`}`,
      });
      return z.NEVER;
    }),
  )
  .optional()
  .meta({ type: "string", description: "States, separated by commas.", examples: ["ready,paused"] });

const ListQuery = z.strictObject({
  state: States,
  limit: integer({ min: 1, max: 200, description: "At most so many; 50 unless given." }),
  cursor: z.string().min(1).max(512).optional().meta({ description: "`next_cursor` of the page before." }),
  all_tenants: flag("Those of every tenant; needs the scope admin."),
  metadata: Metadata.optional().meta({
    description: "`metadata.<key>=<value>`: only sandboxes with that entry; may be given for several keys.",
  }),
});

/** Routes under /v1/sandboxes that are about a sandbox as a whole, and the dry run of a create. */
export const sandboxRoutes: readonly Route[] = [
  defineRoute(
    {
      method: "post",
      path: "/v1/sandboxes",
      operation: "createSandbox",
      tag,
      summary: "Create a sandbox",
      description:
        "Answers once commands can run. With an Idempotency-Key the same key and body give back the same sandbox. With scope_key the live sandbox of the profile with that key is answered as it is, running, with attached: true; of a hundred at once one makes it.",
      scope: "write",
      body: CreateRequest,
      exampleBody: { profile: "python", ttl: "30m", metadata: { session: "s-81" } },
      headers: { "Idempotency-Key": "1 to 255 visible ASCII characters. Names this create: a repeat does not make a second sandbox." },
      answers: {
        201: sandboxAnswer("The sandbox, ready."),
        200: {
          ...sandboxAnswer(
            "The sandbox that an earlier call with the same Idempotency-Key has made (then with that header), or that has the scope_key.",
          ),
          headers: { "Idempotency-Replayed": "true" },
        },
      },
      errors: [
        "policy_denied",
        "profile_not_found",
        "conflict",
        "capability_unsupported",
        "isolation_unavailable",
        "budget_exceeded",
        "quota_exceeded",
        "no_backend",
        "backend_auth",
        "backend_unavailable",
        "backend_rate_limited",
        "backend_rejected",
        "ambiguous_create",
        "provider_missing_dependency",
        "setup_failed",
        "storage_unavailable",
        "timeout",
      ],
    },
    async (call) => {
      const key = idempotencyKey(call);
      const { sandbox, replayed, attached } = await call.engine.create(call.who, call.body, {
        ...(key === undefined ? {} : { idempotencyKey: key }),
        signal: call.signal,
      });
      if (attached) return json(call, 200, sandbox);
      return replayed
        ? json(call, 200, sandbox, { "idempotency-replayed": "true" })
        : json(call, 201, sandbox, { location: `/v1/sandboxes/${sandbox.id}` });
    },
  ),
  defineRoute(
    {
      method: "get",
      path: "/v1/sandboxes",
      operation: "listSandboxes",
      tag,
      summary: "List sandboxes, newest first",
      scope: "read",
      query: ListQuery,
      exampleQuery: "state=ready,paused&limit=50&metadata.session=s-81",
      answers: { 200: { description: "A page.", content: { "application/json": SandboxPage } } },
    },
    async (call) => {
      const { state, limit = 50, cursor, all_tenants, metadata } = call.query;
      if (all_tenants) requireScope(call.who, "admin");
      const page = await call.engine.list(call.who, {
        ...(state === undefined ? {} : { states: state }),
        ...(metadata === undefined ? {} : { metadata }),
        ...(cursor === undefined ? {} : { cursor }),
        limit,
        allTenants: all_tenants,
      });
      return json(call, 200, page);
    },
  ),
  defineRoute(
    {
      method: "get",
      path: "/v1/sandboxes/{id}",
      operation: "getSandbox",
      tag,
      summary: "Read a sandbox",
      scope: "read",
      answers: { 200: sandboxAnswer("The sandbox.") },
      errors: ["sandbox_not_found"],
    },
    async (call) => json(call, 200, await call.engine.get(call.who, call.id)),
  ),
  defineRoute(
    {
      method: "delete",
      path: "/v1/sandboxes/{id}",
      operation: "destroySandbox",
      tag,
      summary: "End a sandbox",
      description: "Answers once the backend has confirmed it. Safe to repeat: one that has ended answers as it is.",
      scope: "write",
      answers: { 200: sandboxAnswer("The sandbox, terminated.") },
      errors: ["sandbox_not_found", "backend_unavailable", "backend_auth"],
    },
    async (call) => json(call, 200, await call.engine.destroy(call.who, call.id)),
  ),
  defineRoute(
    {
      method: "get",
      path: "/v1/sandboxes/{id}/usage",
      operation: "getUsage",
      tag,
      summary: "What a sandbox uses now",
      scope: "read",
      answers: { 200: { description: "Its usage; null where the backend does not say.", content: { "application/json": Usage } } },
      errors: ["sandbox_not_found", "wrong_state", "backend_unavailable"],
    },
    async (call) => json(call, 200, await call.engine.usage(call.who, call.id)),
  ),
  defineRoute(
    {
      method: "post",
      path: "/v1/sandboxes/{id}/renew",
      operation: "renewSandbox",
      tag,
      summary: "Move the end of a sandbox",
      scope: "write",
      body: RenewRequest,
      exampleBody: { ttl: "1h" },
      answers: { 200: sandboxAnswer("The sandbox with its new expires_at.") },
      errors: ["sandbox_not_found", "wrong_state"],
    },
    async (call) => json(call, 200, await call.engine.renew(call.who, call.id, call.body)),
  ),
  defineRoute(
    {
      method: "post",
      path: "/v1/sandboxes/{id}/touch",
      operation: "touchSandbox",
      tag,
      summary: "Reset the idle clock",
      scope: "write",
      answers: { 200: sandboxAnswer("The sandbox with its new last_active_at.") },
      errors: ["sandbox_not_found", "wrong_state"],
    },
    async (call) => json(call, 200, await call.engine.touch(call.who, call.id)),
  ),
  ...restRoutes,
  defineRoute(
    {
      method: "post",
      path: "/v1/route",
      operation: "explainRoute",
      tag,
      summary: "Explain where a create would go, without creating",
      scope: "read",
      body: CreateRequest,
      exampleBody: { profile: "python" },
      answers: { 200: { description: "Every backend with the reason for its place.", content: { "application/json": RouteDecision } } },
      errors: ["profile_not_found", "policy_denied", "capability_unsupported", "isolation_unavailable"],
    },
    async (call) => json(call, 200, await call.engine.route(call.who, call.body)),
  ),
];

function idempotencyKey(call: Call): string | undefined {
  const key = call.context.req.header("idempotency-key");
  if (key === undefined || /^[\x21-\x7e]{1,255}$/.test(key)) return key;
  const message = "must be 1 to 255 visible ASCII characters";
  throw new SandboxerError("invalid_request", `the header Idempotency-Key ${message}`, { issues: [{ path: "Idempotency-Key", message }] });
}

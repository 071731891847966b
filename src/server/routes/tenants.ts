import { z } from "zod";
import {
  ProjectInfo,
  ProjectRequest,
  QuotaInfo,
  QuotaRequest,
  QuotaSubject,
  TenantChange,
  TenantInfo,
  TenantName,
  TenantRequest,
} from "../../contract/index.ts";
import { empty, json } from "../reply.ts";
import { defineRoute, type Route } from "../route.ts";
import { ProjectList, QuotaList, TenantList } from "../schemas.ts";

const tag = "Tenants";
const answer = (description: string, schema: z.ZodType) => ({ description, content: { "application/json": schema } });

/** Tenants, their projects, and the quotas of both and of keys. */
export const tenantRoutes: readonly Route[] = [
  defineRoute(
    {
      method: "post",
      path: "/v1/tenants",
      operation: "createTenant",
      tag,
      summary: "Make a tenant",
      description: "A tenant also begins with the first key that is made for it.",
      scope: "admin",
      body: TenantRequest,
      exampleBody: { name: "acme", description: "The agents of Acme" },
      answers: { 201: answer("The tenant.", TenantInfo) },
      errors: ["conflict", "storage_unavailable"],
    },
    async (call) => json(call, 201, await call.engine.tenants.create(call.who, call.body)),
  ),
  defineRoute(
    {
      method: "get",
      path: "/v1/tenants",
      operation: "listTenants",
      tag,
      summary: "List tenants",
      scope: "admin",
      answers: { 200: answer("All of them, with how many keys work and sandboxes live.", TenantList) },
    },
    async (call) => json(call, 200, { object: "list", data: await call.engine.tenants.list(call.who) }),
  ),
  defineRoute(
    {
      method: "patch",
      path: "/v1/tenants/{name}",
      operation: "changeTenant",
      tag,
      summary: "Suspend a tenant, or let it in again",
      scope: "admin",
      body: TenantChange,
      exampleBody: { suspended: true },
      answers: { 200: answer("The tenant. It holds from the next request on.", TenantInfo) },
      errors: ["not_found", "storage_unavailable"],
    },
    async (call) => json(call, 200, await call.engine.tenants.suspend(call.who, call.params["name"] ?? "", call.body.suspended)),
  ),
  defineRoute(
    {
      method: "post",
      path: "/v1/projects",
      operation: "createProject",
      tag,
      summary: "Make a project",
      scope: "admin",
      body: ProjectRequest,
      exampleBody: { name: "web", tenant: "acme" },
      answers: { 201: answer("The project.", ProjectInfo) },
      errors: ["conflict", "storage_unavailable"],
    },
    async (call) => json(call, 201, await call.engine.projects.create(call.who, call.body)),
  ),
  defineRoute(
    {
      method: "get",
      path: "/v1/projects",
      operation: "listProjects",
      tag,
      summary: "List projects",
      scope: "read",
      answers: { 200: answer("The tenant's own, or a project key's one; every tenant's for an admin.", ProjectList) },
    },
    async (call) => json(call, 200, { object: "list", data: await call.engine.projects.list(call.who) }),
  ),
  defineRoute(
    {
      method: "delete",
      path: "/v1/projects/{name}",
      operation: "removeProject",
      tag,
      summary: "Remove a project",
      description: "`conflict` while keys that work or live sandboxes are in it.",
      scope: "admin",
      query: z.strictObject({ tenant: TenantName.optional().meta({ description: "Your own unless given." }) }),
      exampleQuery: "tenant=acme",
      answers: { 204: { description: "Removed." } },
      errors: ["not_found", "conflict", "storage_unavailable"],
    },
    async (call) => {
      const { tenant = call.who.tenant } = call.query;
      await call.engine.projects.remove(call.who, tenant, call.params["name"] ?? "");
      return empty(call);
    },
  ),
  defineRoute(
    {
      method: "put",
      path: "/v1/quotas",
      operation: "setQuota",
      tag,
      summary: "Limit a tenant, a project or a key",
      description: "Replaces both limits of the subject. Every quota that a create counts against must have room.",
      scope: "admin",
      body: QuotaRequest,
      exampleBody: { subject: "tenant:acme", concurrent: 20, creates_per_minute: 60 },
      answers: { 200: answer("The quota, and how much of it is used.", QuotaInfo) },
      errors: ["not_found", "storage_unavailable"],
    },
    async (call) => json(call, 200, await call.engine.quotas.set(call.who, call.body)),
  ),
  defineRoute(
    {
      method: "get",
      path: "/v1/quotas",
      operation: "listQuotas",
      tag,
      summary: "List quotas and their use",
      scope: "admin",
      answers: { 200: answer("All of them.", QuotaList) },
    },
    async (call) => json(call, 200, { object: "list", data: await call.engine.quotas.list(call.who) }),
  ),
  defineRoute(
    {
      method: "delete",
      path: "/v1/quotas",
      operation: "removeQuota",
      tag,
      summary: "Take a quota away",
      scope: "admin",
      query: z.strictObject({ subject: QuotaSubject }),
      exampleQuery: "subject=tenant:acme",
      answers: { 204: { description: "Removed." } },
      errors: ["not_found", "storage_unavailable"],
    },
    async (call) => {
      await call.engine.quotas.remove(call.who, call.query.subject);
      return empty(call);
    },
  ),
];

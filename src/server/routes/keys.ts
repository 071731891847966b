import { KeyInfo, KeyRequest } from "../../contract/index.ts";
import { json } from "../reply.ts";
import { defineRoute, type Route } from "../route.ts";
import { CreatedKey, KeyList } from "../schemas.ts";

/** API keys. */
export const keyRoutes: readonly Route[] = [
  defineRoute(
    {
      method: "post",
      path: "/v1/keys",
      operation: "createKey",
      tag: "Keys",
      summary: "Make an API key",
      scope: "admin",
      body: KeyRequest,
      exampleBody: { name: "ci", tenant: "acme", scopes: ["read", "write"] },
      answers: { 201: { description: "The key. Its secret is shown this once.", content: { "application/json": CreatedKey } } },
      errors: ["storage_unavailable"],
    },
    async (call) => {
      const { key, secret } = await call.engine.keys.create(call.who, call.body);
      return json(call, 201, { ...key, secret });
    },
  ),
  defineRoute(
    {
      method: "get",
      path: "/v1/keys",
      operation: "listKeys",
      tag: "Keys",
      summary: "List API keys",
      scope: "admin",
      answers: { 200: { description: "All of them, without their secrets.", content: { "application/json": KeyList } } },
    },
    async (call) => json(call, 200, { object: "list", data: await call.engine.keys.list(call.who) }),
  ),
  defineRoute(
    {
      method: "delete",
      path: "/v1/keys/{id}",
      operation: "revokeKey",
      tag: "Keys",
      summary: "Revoke an API key",
      scope: "admin",
      answers: { 200: { description: "The key, revoked.", content: { "application/json": KeyInfo } } },
      errors: ["not_found", "storage_unavailable"],
    },
    async (call) => json(call, 200, await call.engine.keys.revoke(call.who, call.id)),
  ),
];

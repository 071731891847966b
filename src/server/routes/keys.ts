import { KeyInfo, KeyRequest, KeyRotation } from "../../contract/index.ts";
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
      exampleBody: { name: "ci", tenant: "acme", role: "agent", labels: ["reviewed"], expires_in: "30d" },
      answers: { 201: { description: "The key. Its secret is shown this once.", content: { "application/json": CreatedKey } } },
      errors: ["not_found", "storage_unavailable"],
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
      method: "post",
      path: "/v1/keys/{id}/rotate",
      operation: "rotateKey",
      tag: "Keys",
      summary: "Give an API key a new secret",
      description: "The key stays what it is. Its secret of before works for the overlap, and one from before that ends at once.",
      scope: "admin",
      body: KeyRotation,
      exampleBody: { overlap: "1h" },
      answers: {
        200: { description: "The key with its new secret, which is shown this once.", content: { "application/json": CreatedKey } },
      },
      errors: ["not_found", "conflict", "storage_unavailable"],
    },
    async (call) => {
      const { key, secret } = await call.engine.keys.rotate(call.who, call.id, call.body);
      return json(call, 200, { ...key, secret });
    },
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

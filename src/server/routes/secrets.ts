import { z } from "zod";
import { MAX_SECRET_BYTES, SandboxerError, SecretInfo, SecretRequest } from "../../contract/index.ts";
import { wholeBody } from "../body.ts";
import type { Call } from "../call.ts";
import { json } from "../reply.ts";
import { defineRoute, type Route } from "../route.ts";
import { flag, SecretList } from "../schemas.ts";

const tag = "Secrets";
const one = "/v1/secrets/{name}";
const answer = (description: string) => ({ description, content: { "application/json": SecretInfo } });
const stored = ["secret_unavailable", "storage_unavailable", "backend_unavailable"] as const;
const bodyKind = {
  kind: "document-or-bytes",
  types: ["application/json"],
  byteTypes: ["application/octet-stream", "text/plain"],
} as const;
const RAW = "The body is JSON, or the value itself as UTF-8; one line end behind it is taken off. A value is never given back.";

/** A tenant's secrets, without their values. */
export const secretRoutes: readonly Route[] = [
  defineRoute(
    {
      method: "put",
      path: one,
      operation: "setSecret",
      tag,
      summary: "Store a secret",
      description: `${RAW} A name that has a value is \`conflict\` unless \`replace\` is true.`,
      scope: "secrets",
      query: z.strictObject({ replace: flag("Give a name that has a value a new one.") }),
      body: SecretRequest,
      bodyKind,
      exampleBody: { value: "ghp_0123456789", hosts: ["api.github.com"] },
      answers: { 200: answer("Stored; every sandbox that is bound to the name has it from its next request on.") },
      errors: ["conflict", "quota_exceeded", ...stored],
    },
    async (call) => {
      const { replace } = call.query;
      return json(call, 200, await call.engine.secrets.set(call.who, nameOf(call), await requestOf(call), { replace }));
    },
  ),
  defineRoute(
    {
      method: "get",
      path: "/v1/secrets",
      operation: "listSecrets",
      tag,
      summary: "List secrets",
      scope: "read",
      answers: { 200: { description: "All that have a value, without it.", content: { "application/json": SecretList } } },
    },
    async (call) => json(call, 200, { object: "list", data: await call.engine.secrets.list(call.who) }),
  ),
  defineRoute(
    {
      method: "post",
      path: `${one}/rotate`,
      operation: "rotateSecret",
      tag,
      summary: "Give a secret a new value",
      description: `${RAW} The value before it is not kept.`,
      scope: "secrets",
      body: SecretRequest,
      bodyKind,
      exampleBody: { value: "ghp_9876543210" },
      answers: { 200: answer("The new version; every sandbox that is bound to it has it from its next request on.") },
      errors: ["secret_not_found", ...stored],
    },
    async (call) => json(call, 200, await call.engine.secrets.rotate(call.who, nameOf(call), await requestOf(call))),
  ),
  defineRoute(
    {
      method: "delete",
      path: one,
      operation: "removeSecret",
      tag,
      summary: "Remove a secret",
      description: "Its value is gone, and requests that need it are denied. Safe to repeat.",
      scope: "secrets",
      answers: { 200: answer("The secret, removed.") },
      errors: ["secret_not_found", ...stored],
    },
    async (call) => json(call, 200, await call.engine.secrets.remove(call.who, nameOf(call))),
  ),
];

function nameOf(call: Call): string {
  return call.params["name"] ?? "";
}

/** The document, or the raw body as the value. */
async function requestOf(call: Call<unknown, SecretRequest | undefined>): Promise<SecretRequest> {
  if (call.body !== undefined) return call.body;
  const { bodyTimeoutMs } = call.service.limits;
  const body = await wholeBody(call.context, { maxBytes: MAX_SECRET_BYTES + 2, timeoutMs: bodyTimeoutMs });
  const text = body.toString();
  if (!Buffer.from(text).equals(body)) throw new SandboxerError("invalid_request", "the value is not UTF-8");
  return { value: text.replace(/\r?\n$/, "") };
}

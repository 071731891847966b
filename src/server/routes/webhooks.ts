import { z } from "zod";
import { WebhookChange, WebhookInfo, WebhookReplay, WebhookRequest, WebhookTestResult } from "../../contract/index.ts";
import { json } from "../reply.ts";
import { defineRoute, type Route } from "../route.ts";
import { integer, WebhookDeliveryList, WebhookList, WebhookWithSecret } from "../schemas.ts";

const tag = "Webhooks";
const one = "/v1/webhooks/{id}";
const answer = (description: string) => ({ description, content: { "application/json": WebhookInfo } });
const changes = ["not_found", "storage_unavailable"] as const;

/** Where events are told to. */
export const webhookRoutes: readonly Route[] = [
  defineRoute(
    {
      method: "post",
      path: "/v1/webhooks",
      operation: "addWebhook",
      tag,
      scope: "write",
      summary: "Add a webhook",
      description: "Events go out as CloudEvents 1.0, signed as Standard Webhooks has it: at least once, and in order.",
      body: WebhookRequest,
      exampleBody: { url: "https://hooks.example.com/sandboxes", types: ["sandbox.*"] },
      answers: { 201: { description: "The webhook. Its secret is shown this once.", content: { "application/json": WebhookWithSecret } } },
      errors: ["policy_denied", "quota_exceeded", "secret_unavailable", "storage_unavailable"],
    },
    async (call) => {
      const { webhook, secret } = await call.engine.webhooks.add(call.who, call.body);
      return json(call, 201, { ...webhook, secret });
    },
  ),
  defineRoute(
    {
      method: "get",
      path: "/v1/webhooks",
      operation: "listWebhooks",
      tag,
      scope: "read",
      summary: "List webhooks",
      answers: {
        200: {
          description: "All of them, without their secrets; an admin's list is of every tenant.",
          content: { "application/json": WebhookList },
        },
      },
    },
    async (call) => json(call, 200, { object: "list", data: await call.engine.webhooks.list(call.who) }),
  ),
  defineRoute(
    {
      method: "get",
      path: one,
      operation: "getWebhook",
      tag,
      scope: "read",
      summary: "Show a webhook: its place, and how its last attempt went",
      answers: { 200: answer("The webhook.") },
      errors: ["not_found"],
    },
    async (call) => json(call, 200, await call.engine.webhooks.get(call.who, call.id)),
  ),
  defineRoute(
    {
      method: "patch",
      path: one,
      operation: "updateWebhook",
      tag,
      scope: "write",
      summary: "Change, disable or enable a webhook",
      description: "Enabled again, it goes on where it stopped, at once.",
      body: WebhookChange,
      exampleBody: { enabled: true },
      answers: { 200: answer("The webhook as it is now.") },
      errors: changes,
    },
    async (call) => json(call, 200, await call.engine.webhooks.update(call.who, call.id, call.body)),
  ),
  defineRoute(
    {
      method: "delete",
      path: one,
      operation: "removeWebhook",
      tag,
      scope: "write",
      summary: "Remove a webhook",
      answers: { 200: answer("The webhook that was.") },
      errors: changes,
    },
    async (call) => json(call, 200, await call.engine.webhooks.remove(call.who, call.id)),
  ),
  defineRoute(
    {
      method: "post",
      path: `${one}/rotate`,
      operation: "rotateWebhook",
      tag,
      scope: "write",
      summary: "Give a webhook a new secret",
      description: "For 24 hours the secret before it signs too: a receiver that knows either accepts.",
      answers: {
        200: { description: "The webhook, with its new secret, shown this once.", content: { "application/json": WebhookWithSecret } },
      },
      errors: [...changes, "secret_unavailable"],
    },
    async (call) => {
      const { webhook, secret } = await call.engine.webhooks.rotate(call.who, call.id);
      return json(call, 200, { ...webhook, secret });
    },
  ),
  defineRoute(
    {
      method: "post",
      path: `${one}/test`,
      operation: "testWebhook",
      tag,
      scope: "write",
      summary: "Send one event of the type webhook.test now",
      answers: {
        200: { description: "How it went; a receiver that refuses is a result.", content: { "application/json": WebhookTestResult } },
      },
      errors: ["not_found", "secret_unavailable"],
    },
    async (call) => json(call, 200, await call.engine.webhooks.test(call.who, call.id, call.signal)),
  ),
  defineRoute(
    {
      method: "post",
      path: `${one}/replay`,
      operation: "replayWebhook",
      tag,
      scope: "write",
      summary: "Tell again: everything after a place, or the dead letters",
      body: WebhookReplay,
      exampleBody: { dead: true },
      answers: { 200: answer("The webhook, at its new place.") },
      errors: changes,
    },
    async (call) => json(call, 200, await call.engine.webhooks.replay(call.who, call.id, call.body)),
  ),
  defineRoute(
    {
      method: "get",
      path: `${one}/deliveries`,
      operation: "listWebhookDeliveries",
      tag,
      scope: "read",
      summary: "List what was delivered last, and the dead letters",
      query: z.strictObject({
        state: z.enum(["delivered", "dead", "queued"]).optional(),
        limit: integer({ min: 1, max: 1000, description: "At most so many; 100 unless given." }),
      }),
      exampleQuery: "state=dead",
      answers: { 200: { description: "Newest first.", content: { "application/json": WebhookDeliveryList } } },
      errors: ["not_found"],
    },
    async (call) => {
      const { state, limit = 100 } = call.query;
      const data = await call.engine.webhooks.deliveries(call.who, call.id, { limit, ...(state === undefined ? {} : { state }) });
      return json(call, 200, { object: "list", data });
    },
  ),
];

import { expect, it } from "vitest";
import type { CloudEvent } from "../../src/contract/index.ts";
import { sseOf } from "./door.ts";
import { openRealDoor, type RealDoor } from "./real-door.ts";

const as = (secret: string, headers: Record<string, string> = {}) => ({ headers: { authorization: `Bearer ${secret}`, ...headers } });

/** Follows until the condition holds of what was seen. */
async function follow(
  door: RealDoor,
  path: string,
  init: RequestInit,
  enough: (seen: { id: number; type: string; data: Record<string, unknown> }[]) => boolean,
) {
  const stop = new AbortController();
  const response = await fetch(door.url + path, {
    ...init,
    signal: stop.signal,
    headers: { accept: "text/event-stream", ...(init.headers as Record<string, string>) },
  });
  const seen: { id: number; type: string; data: Record<string, unknown> }[] = [];
  for await (const { id, event, data } of sseOf(response)) {
    seen.push({ id: Number(id), type: event, data });
    if (enough(seen)) break;
  }
  stop.abort();
  return seen;
}

it("tells events as CloudEvents by Accept or by query, as a page, as a batch with a link to the next, and as a stream", async () => {
  const door = await openRealDoor();
  const { secret } = await door.key("acme", ["read", "write"]);
  const { id } = await door.sandbox("acme");
  const page = (await (await fetch(`${door.url}/v1/events?format=cloudevents&type=sandbox.*`, as(secret))).json()) as {
    data: CloudEvent[];
  };
  expect(page.data.map(({ type, subject }) => [type, subject])).toEqual([
    ["dev.sandboxer.sandbox.provisioning.v1", id],
    ["dev.sandboxer.sandbox.ready.v1", id],
  ]);
  const batch = await fetch(`${door.url}/v1/events?limit=1&type=sandbox.*`, as(secret, { accept: "application/cloudevents-batch+json" }));
  expect(batch.headers.get("content-type")).toBe("application/cloudevents-batch+json");
  const [, next = ""] = /^<(.+)>; rel="next"$/.exec(batch.headers.get("link") ?? "") ?? [];
  const first = (await batch.json()) as CloudEvent[];
  const second = (await (
    await fetch(door.url + next, as(secret, { accept: "application/cloudevents-batch+json" }))
  ).json()) as CloudEvent[];
  expect([...first, ...second]).toEqual(page.data);
  const streamed = await follow(
    door,
    "/v1/events?type=sandbox.*",
    as(secret, { accept: "text/event-stream, application/cloudevents+json" }),
    ({ length }) => length === 2,
  );
  expect(streamed.map(({ data }) => data)).toEqual(page.data);
});

it("goes on after Last-Event-ID without a loss or a repeat, and only with the tenant's own", async () => {
  const door = await openRealDoor();
  const { secret } = await door.key("acme", ["read"]);
  await door.sandbox("acme");
  await door.sandbox("other");
  const ready = (seen: readonly { type: string }[]) => seen.some(({ type }) => type === "sandbox.ready");
  const before = await follow(door, "/v1/events", as(secret), ready);
  const third = door.sandbox("acme");
  const after = await follow(door, "/v1/events", as(secret, { "last-event-id": String(before.at(-1)?.id) }), ready);
  await third;
  const all = [...before, ...after];
  const pages = (await (await fetch(`${door.url}/v1/events?limit=1000`, as(secret))).json()) as { data: { seq: number; tenant: string }[] };
  expect(all.map(({ id }) => id)).toEqual(pages.data.map(({ seq }) => seq));
  expect(new Set(all.map(({ data }) => data["tenant"]))).toEqual(new Set(["acme"]));
});

it("refuses a type that no event has, and says which is near", async () => {
  const door = await openRealDoor();
  const { secret } = await door.key("acme", ["read"]);
  const response = await fetch(`${door.url}/v1/events?type=sandbox.redy`, as(secret));
  expect([response.status, await response.text()]).toEqual([400, expect.stringContaining("sandbox.ready")]);
});

it("writes what was refused into the audit log: who, from where, what; and shows that to admins only", async () => {
  const door = await openRealDoor();
  const [admin, reader] = [await door.key("default", ["admin"]), await door.key("acme", ["read"])];
  expect((await fetch(`${door.url}/v1/audit`, as(reader.secret))).status).toBe(403);
  expect((await fetch(`${door.url}/v1/keys`, as(`sbx_${"0".repeat(40)}`))).status).toBe(401);
  expect(
    (
      await fetch(`${door.url}/v1/webhooks`, {
        ...as(admin.secret, { "content-type": "application/json" }),
        method: "POST",
        body: '{"url":"https://10.0.0.1/"}',
      })
    ).status,
  ).toBe(403);
  const denied = (await (await fetch(`${door.url}/v1/audit?result=denied`, as(admin.secret))).json()) as { data: { hash: string }[] };
  expect(denied.data).toMatchObject([
    { actor: reader.key.id, tenant: "acme", action: "listAudit", detail: { code: "forbidden" }, origin: { address: "127.0.0.1" } },
    { actor: "anonymous", tenant: "", action: "listKeys", detail: { code: "unauthorized" }, origin: { address: "127.0.0.1" } },
    { actor: admin.key.id, action: "addWebhook", detail: { code: "policy_denied" } },
  ]);
  const report = await fetch(`${door.url}/v1/audit/verify`, {
    ...as(admin.secret, { "content-type": "application/json" }),
    method: "POST",
    body: "{}",
  });
  expect(await report.json()).toMatchObject({ ok: true, entries: 5 });
});

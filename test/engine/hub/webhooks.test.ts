import { Webhook } from "standardwebhooks";
import { expect, it } from "vitest";
import type { Principal } from "../../../src/contract/index.ts";
import { openSealer } from "../../../src/guard/index.ts";
import { openReceiver, type Receiver, until } from "../../support/receiver.ts";
import { ADMIN, OWNER, STRANGER } from "../bench.ts";
import { stage, write } from "./stage.ts";

const LOCAL = { config: { webhooks: { allow: ["127.0.0.0/8"], insecure: true } } };
const KEYED: Principal = { tenant: "acme", key_id: "ky1", scopes: ["read", "write"] };
const numbers = (receiver: Receiver) => receiver.taken.flatMap(({ events }) => events.map(({ id }) => Number(id)));
const renewed = ["sandbox.renewed"];

it("tells every event once and in order, as a CloudEvent that the official verifier takes", async () => {
  const [bench, receiver] = [await stage(), await openReceiver()];
  const { webhook, secret } = await bench.engine.webhooks.add(ADMIN, { url: receiver.url, types: renewed });
  const seqs = await write(bench, 30, { sandboxId: "sb1" });
  await until(() => receiver.taken.length === 30);
  expect(numbers(receiver)).toEqual(seqs);
  const verifier = new Webhook(secret);
  for (const { headers, body } of receiver.taken)
    expect(verifier.verify(body, headers as Record<string, string>)).toMatchObject({ specversion: "1.0" });
  const [first] = receiver.taken;
  expect(() => verifier.verify(`${first?.body} `, first?.headers as Record<string, string>)).toThrow("signature");
  expect(first?.headers["content-type"]).toBe("application/cloudevents+json; charset=utf-8");
  expect(first?.events[0]).toMatchObject({
    type: "dev.sandboxer.sandbox.renewed.v1",
    subject: "sb1",
    tenant: "default",
    source: await bench.engine.events.source(),
  });
  await until(async () => (await bench.engine.webhooks.get(ADMIN, webhook.id)).cursor === seqs.at(-1));
  const kept = await bench.ledger.db.selectFrom("webhooks").selectAll().executeTakeFirstOrThrow();
  expect(JSON.stringify(kept)).not.toContain(secret.slice(6));
});

it("loses nothing while a receiver is down for an hour, and tells the others meanwhile", async () => {
  const [bench, broken, sound] = [await stage(), await openReceiver(), await openReceiver()];
  const { webhook } = await bench.engine.webhooks.add(ADMIN, { url: broken.url, types: renewed });
  await bench.engine.webhooks.add(ADMIN, { url: sound.url, types: renewed });
  await broken.down();
  const seqs: number[] = [];
  for (let minute = 0; minute < 60; minute += 10) {
    seqs.push(...(await write(bench, 3)));
    await until(() => numbers(sound).length === seqs.length);
    bench.clock.pass(10 * 60_000);
  }
  await until(async () => (await bench.engine.webhooks.get(ADMIN, webhook.id)).failures > 2);
  expect(await bench.engine.webhooks.get(ADMIN, webhook.id)).toMatchObject({
    enabled: true,
    dead_letters: 0,
    last_error: "the connection failed: ECONNREFUSED",
  });
  await broken.up();
  bench.clock.pass(3600_000);
  await until(() => numbers(broken).length === seqs.length);
  expect(numbers(broken)).toEqual(seqs);
});

it("waits as long as Retry-After asks, and not a moment less", async () => {
  const [bench, receiver] = [await stage(), await openReceiver()];
  receiver.answer = () => ({ status: 429, headers: { "retry-after": "120" } });
  const { webhook } = await bench.engine.webhooks.add(ADMIN, { url: receiver.url, types: renewed });
  await write(bench, 1);
  await until(async () => (await bench.engine.webhooks.get(ADMIN, webhook.id)).next_attempt_at !== null);
  receiver.answer = () => 200;
  bench.clock.pass(119_000);
  await new Promise((resolve) => setTimeout(resolve, 1200));
  expect(receiver.requests).toHaveLength(1);
  bench.clock.pass(1000);
  await until(() => receiver.taken.length === 1);
});

it("makes a dead letter of what is refused too often, goes on, and delivers it when it is replayed", async () => {
  const [bench, receiver] = [await stage(), await openReceiver()];
  const { webhook } = await bench.engine.webhooks.add(ADMIN, { url: receiver.url, types: renewed, max_attempts: 3, format: "batch" });
  const poison = (await bench.engine.events.list(ADMIN, { limit: 1000 })).data.length + 2;
  receiver.answer = ({ events }) => (events.some(({ id }) => id === String(poison)) ? 422 : 200);
  const seqs = await write(bench, 4);
  expect(seqs).toContain(poison);
  await until(async () => {
    bench.clock.pass(60_000);
    await new Promise((resolve) => setTimeout(resolve, 50));
    return numbers(receiver).length === 3;
  });
  expect(numbers(receiver)).toEqual(seqs.filter((seq) => seq !== poison));
  const dead = await bench.engine.webhooks.deliveries(ADMIN, webhook.id, { state: "dead", limit: 10 });
  expect(dead).toMatchObject([{ seq: poison, attempts: 3, status: 422, error: "it answered 422" }]);
  receiver.answer = () => 200;
  await bench.engine.webhooks.replay(ADMIN, webhook.id, { dead: true });
  await until(() => numbers(receiver).includes(poison));
  await until(async () => (await bench.engine.webhooks.get(ADMIN, webhook.id)).dead_letters === 0);
});

it("tells everything again from a place, with the ids of the first time", async () => {
  const [bench, receiver] = [await stage(), await openReceiver()];
  const { webhook } = await bench.engine.webhooks.add(ADMIN, { url: receiver.url, types: renewed });
  const seqs = await write(bench, 3);
  await until(() => receiver.taken.length === 3);
  await bench.engine.webhooks.replay(ADMIN, webhook.id, { after: seqs[0] ?? 0 });
  await until(() => receiver.taken.length === 5);
  const ids = receiver.taken.map(({ headers }) => headers["webhook-id"]);
  expect(ids.slice(3)).toEqual(ids.slice(1, 3));
});

it("signs with the old and the new secret for a day after a rotation", async () => {
  const [bench, receiver] = [await stage(), await openReceiver()];
  const { webhook, secret } = await bench.engine.webhooks.add(ADMIN, { url: receiver.url, types: renewed });
  const rotated = await bench.engine.webhooks.rotate(ADMIN, webhook.id);
  await write(bench, 1);
  await until(() => receiver.taken.length === 1);
  const takes = (key: string) =>
    new Webhook(key).verify(receiver.taken.at(-1)?.body ?? "", receiver.taken.at(-1)?.headers as Record<string, string>);
  expect([takes(secret), takes(rotated.secret)]).toHaveLength(2);
  bench.clock.pass(24 * 3600_000 + 1);
  await write(bench, 1);
  await until(() => receiver.taken.length === 2);
  const signatures = String(receiver.taken[1]?.headers["webhook-signature"]).split(" ");
  expect(signatures).toHaveLength(1);
});

it("stops at 410, keeps its place, and goes on from there when it is enabled", async () => {
  const [bench, receiver] = [await stage(), await openReceiver()];
  receiver.answer = () => 410;
  const { webhook } = await bench.engine.webhooks.add(ADMIN, { url: receiver.url, types: renewed });
  const seqs = await write(bench, 2);
  await until(async () => !(await bench.engine.webhooks.get(ADMIN, webhook.id)).enabled);
  receiver.answer = () => 200;
  await bench.engine.webhooks.update(ADMIN, webhook.id, { enabled: true });
  await until(() => receiver.taken.length === 2);
  expect(numbers(receiver)).toEqual(seqs);
});

it("tells a tenant its own events only, and shows no tenant another's webhook", async () => {
  const [bench, receiver] = [await stage(LOCAL), await openReceiver()];
  const { webhook } = await bench.engine.webhooks.add(KEYED, { url: receiver.url });
  await write(bench, 2, { tenant: "other" });
  const seqs = await write(bench, 1, { tenant: "acme" });
  await until(() => numbers(receiver).includes(seqs[0] ?? 0));
  expect(new Set(receiver.taken.flatMap(({ events }) => events.map(({ tenant }) => tenant)))).toEqual(new Set(["acme"]));
  expect(await bench.engine.webhooks.list(STRANGER)).toEqual([]);
  await expect(bench.engine.webhooks.get(STRANGER, webhook.id)).rejects.toMatchObject({ code: "not_found" });
  await expect(bench.engine.webhooks.rotate(STRANGER, webhook.id)).rejects.toMatchObject({ code: "not_found" });
  await expect(bench.engine.webhooks.add(OWNER, { url: receiver.url, all_tenants: true })).rejects.toMatchObject({ code: "forbidden" });
});

it.each([
  "http://example.com/",
  "https://127.0.0.1/",
  "https://2130706433/",
  "https://[::1]/",
  "https://[::ffff:10.0.0.1]/",
  "https://169.254.169.254/latest",
  "https://10.1.2.3/",
])("does not take %s from a tenant", async (url) => {
  const bench = await stage();
  await expect(bench.engine.webhooks.add(KEYED, { url })).rejects.toMatchObject({ code: "policy_denied" });
});

it("does not send to a name that leads to this machine, whatever it was when the webhook was added", async () => {
  const [bench, receiver] = [await stage({ config: { webhooks: { insecure: true } } }), await openReceiver()];
  const { webhook } = await bench.engine.webhooks.add(KEYED, { url: receiver.url.replace("127.0.0.1", "localhost") });
  const { delivered, error } = await bench.engine.webhooks.test(KEYED, webhook.id, new AbortController().signal);
  expect(delivered).toBe(false);
  expect(error).toMatch(/localhost is at .* may not be reached/);
  expect(receiver.requests).toEqual([]);
});

it("does not follow a redirect", async () => {
  const [bench, receiver, inner] = [await stage(), await openReceiver(), await openReceiver()];
  receiver.answer = () => ({ status: 307, headers: { location: inner.url } });
  const { webhook } = await bench.engine.webhooks.add(ADMIN, { url: receiver.url });
  expect(await bench.engine.webhooks.test(ADMIN, webhook.id, new AbortController().signal)).toMatchObject({
    delivered: false,
    status: 307,
  });
  expect(inner.requests).toEqual([]);
});

it("is told by one of two engines over a ledger at a time, each event once, and by the other once the first is gone", async () => {
  const [bench, receiver] = [await stage(), await openReceiver()];
  await bench.engine.webhooks.add(ADMIN, { url: receiver.url, types: renewed });
  await bench.second({ background: true, sealer: () => openSealer(bench.directory, {}) });
  const seqs = await write(bench, 100);
  await until(() => numbers(receiver).length >= 100);
  await bench.engine.close();
  seqs.push(...(await write(bench, 10)));
  await until(() => numbers(receiver).length >= 110);
  expect(numbers(receiver)).toEqual(seqs);
});

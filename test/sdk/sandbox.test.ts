import { expect, test } from "vitest";
import { newId } from "../../src/contract/ids.ts";
import { SandboxerError } from "../../src/sdk/index.ts";
import { liveServer } from "./live-server.ts";

test("a sandbox is made, found again, listed and ended", async () => {
  const client = (await liveServer()).client();
  const sandbox = await client.create({ name: "one", metadata: { agent: "a" }, ttl: "10m" });
  expect(sandbox.info).toMatchObject({ state: "ready", name: "one", metadata: { agent: "a" }, backend: "fake" });
  expect((await client.connect(sandbox.id)).info.id).toBe(sandbox.id);
  const ids: string[] = [];
  for await (const { id } of client.list({ states: ["ready"], metadata: { agent: "a" } })) ids.push(id);
  expect(ids).toEqual([sandbox.id]);
  expect((await sandbox.destroy()).state).toBe("terminated");
  expect((await sandbox.refresh()).termination?.reason).toBe("user");
});

test("the same idempotency key gives the same sandbox back", async () => {
  const client = (await liveServer()).client();
  const [one, two] = await Promise.all([client.create({ idempotencyKey: "k" }), client.create({ idempotencyKey: "k" })]);
  expect(two.id).toBe(one.id);
});

test("await using ends the sandbox when its block ends, also by an error", async () => {
  const client = (await liveServer()).client();
  let id = "";
  await expect(
    (async () => {
      await using sandbox = await client.create();
      ({ id } = sandbox);
      throw new Error("the block failed");
    })(),
  ).rejects.toThrow("the block failed");
  expect((await client.connect(id)).info.state).toBe("terminated");
});

test("the list goes over all pages", async () => {
  const client = (await liveServer()).client();
  const made = await Promise.all(Array.from({ length: 5 }, () => client.create()));
  const found: string[] = [];
  for await (const { id } of client.list({ pageSize: 2 })) found.push(id);
  expect(found.toSorted()).toEqual(made.map(({ id }) => id).toSorted());
});

test("a request that is wrong is an error with the field's path and the nearest value", async () => {
  const client = (await liveServer()).client();
  const error: unknown = await client.create({ ttl: "10 parsecs" }).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(SandboxerError);
  expect(error).toMatchObject({
    code: "invalid_request",
    retryable: false,
    requestId: expect.stringMatching(/^rq/),
    details: { issues: [{ path: "ttl" }] },
  });
});

test("a wrong key is unauthorized, and a sandbox that does not exist sandbox_not_found", async () => {
  const live = await liveServer();
  await expect(live.client({ apiKey: `sbx_${"0".repeat(40)}` }).backends()).rejects.toMatchObject({ code: "unauthorized" });
  await expect(live.client().connect(newId("sandbox"))).rejects.toMatchObject({ code: "sandbox_not_found" });
});

test("renew moves the ttl and never shortens unless told to", async () => {
  const sandbox = await (await liveServer()).client().create({ ttl: "10m" });
  const first = Date.parse(sandbox.info.expires_at);
  expect(Date.parse((await sandbox.renew("20m")).expires_at)).toBeGreaterThan(first);
  expect(Date.parse((await sandbox.renew("1m")).expires_at)).toBeGreaterThan(first);
  expect(Date.parse((await sandbox.renew(60, { shorten: true })).expires_at)).toBeLessThan(first);
  expect((await sandbox.touch()).state).toBe("ready");
  expect(await sandbox.usage()).toHaveProperty("memory_bytes");
});

test("stands still both ways, runs again, and is found by its key", async () => {
  const client = (await liveServer()).client();
  const sandbox = await client.create({ scope_key: "chat-81" });
  expect((await sandbox.pause()).state).toBe("paused");
  await expect(sandbox.exec("true")).rejects.toMatchObject({ code: "wrong_state" });
  expect((await sandbox.suspend()).state).toBe("suspended");
  const found = await client.create({ scope_key: "chat-81" });
  expect(found).toMatchObject({ id: sandbox.id, info: { attached: true, state: "ready", state_lost: false } });
  expect((await sandbox.resume()).resting).toBeNull();
});

test("profiles, backends, routes and keys can be read and made", async () => {
  const client = (await liveServer()).client();
  const applied = await client.profiles.apply("kind: profile\nname: mine\nversion: 1\ndescription: of my own\n");
  expect(applied).toMatchObject({ name: "mine", version: 1, shipped: false });
  expect((await client.profiles.list()).map(({ name }) => name)).toEqual(expect.arrayContaining(["default", "mine"]));
  expect((await client.profiles.get("mine@1")).digest).toBe(applied.digest);
  await expect(client.profiles.apply({ kind: "profile", name: "mine", version: 1 })).rejects.toMatchObject({ code: "conflict" });
  expect((await client.backends()).map(({ name }) => name)).toEqual(["fake"]);
  expect((await client.route({ profile: "mine" })).chosen).toBe("fake");
  const key = await client.keys.create({ name: "second", scopes: ["read"] });
  expect(key.secret).toMatch(/^sbx_/);
  expect((await client.keys.revoke(key.id)).revoked_at).not.toBeNull();
  expect((await client.keys.list()).map(({ id }) => id)).toContain(key.id);
});

test("events can be read to their end, and followed as they come", async () => {
  const client = (await liveServer()).client();
  const sandbox = await client.create();
  const past: string[] = [];
  for await (const { type } of client.events({ sandboxId: sandbox.id, follow: false, after: 0 })) past.push(type);
  expect(past.at(-1)).toBe("sandbox.ready");
  const following = client.events({ sandboxId: sandbox.id, after: 0 });
  for (const type of past) expect((await following.next()).value?.type).toBe(type);
  const next = following.next();
  await sandbox.destroy();
  expect((await next).value?.type).toBe("sandbox.stopping");
  await following.return();
});

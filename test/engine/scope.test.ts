import { expect, it } from "vitest";
import type { Principal } from "../../src/contract/index.ts";
import { type Bench, openBench, OWNER, run, STRANGER } from "./bench.ts";

async function bench(document: object = { scope: "session" }): Promise<Bench> {
  const opened = await openBench();
  for (const who of [OWNER, STRANGER]) await opened.engine.profiles.apply(who, { kind: "profile", name: "kept", version: 1, ...document });
  return opened;
}

const create = (bench: Bench, request: object = {}, who: Principal = OWNER, options: object = {}) =>
  bench.engine.create(who, { profile: "kept", scope_key: "chat-1", ...request }, options);

it("a second create with the same key attaches, and says so; another key, profile or tenant does not", async () => {
  await using opened = await bench();
  const first = await create(opened);
  expect(first).toMatchObject({ attached: false, sandbox: { scope: { kind: "session", key: "chat-1" } } });
  const { id } = first.sandbox;
  expect(await create(opened, { ttl: "10m" })).toMatchObject({ attached: true, replayed: false, sandbox: { id, attached: true } });
  expect((await create(opened, { scope_key: "chat-2" })).sandbox.id).not.toBe(id);
  expect((await create(opened, { profile: "default" })).sandbox.id).not.toBe(id);
  expect(await create(opened, {}, STRANGER)).toMatchObject({ attached: false });
  expect((await create(opened, { scope_key: undefined })).sandbox).toMatchObject({ scope: null });
});

it("of twenty creates at once one makes it, and all get it", async () => {
  await using opened = await bench();
  const second = await opened.second();
  const all = await Promise.all(
    Array.from({ length: 20 }, (_, at) => (at % 2 === 0 ? opened.engine : second).create(OWNER, { profile: "kept", scope_key: "k" }, {})),
  );
  expect(new Set(all.map(({ sandbox }) => sandbox.id)).size).toBe(1);
  expect(all.filter(({ attached }) => !attached)).toHaveLength(1);
  expect(all.every(({ sandbox }) => sandbox.state === "ready")).toBe(true);
  expect(opened.control().ids()).toHaveLength(1);
});

it("one that ended frees its key; the next one passes as it only where its user had ended it", async () => {
  await using opened = await bench();
  const first = (await create(opened)).sandbox;
  await opened.engine.destroy(OWNER, first.id);
  // Ids sort by the time they were made.
  opened.clock.pass(1000);
  const second = (await create(opened)).sandbox;
  expect(second).toMatchObject({ state_lost: false });
  opened.control().lose(second.id);
  opened.clock.pass(1000);
  await opened.engine.sweep();
  const third = await create(opened);
  expect(third).toMatchObject({ attached: false, sandbox: { state_lost: true } });
  expect(new Set([first.id, second.id, third.sandbox.id]).size).toBe(3);
});

it("a create that fails frees its key too", async () => {
  await using opened = await bench();
  opened.control().addFault({ on: "create", kind: "fail", times: 1 });
  await expect(create(opened)).rejects.toMatchObject({ code: "backend_unavailable" });
  expect(await create(opened)).toMatchObject({ attached: false, sandbox: { state_lost: false } });
});

it("one that stands still is woken by whoever attaches", async () => {
  await using opened = await bench({ persistence: "persistent" });
  const { id } = (await create(opened)).sandbox;
  await run(opened.engine, OWNER, id, "echo kept > kept");
  await opened.engine.pause(OWNER, id, { to: "suspended" });
  expect(await create(opened)).toMatchObject({ attached: true, sandbox: { id, state: "ready", state_lost: false } });
  expect((await run(opened.engine, OWNER, id, "cat kept")).stdout).toBe("kept\n");
});

it("an agent's key is its label unless it is given; a shared one needs none", async () => {
  await using opened = await bench({ scope: "agent" });
  await expect(create(opened, { scope_key: undefined })).rejects.toMatchObject({
    code: "invalid_request", details: { issues: [{ path: "scope_key" }] },
  }); // prettier-ignore
  const labelled = { scope_key: undefined, metadata: { agent: "a-1" } };
  const { id } = (await create(opened, labelled)).sandbox;
  expect(await create(opened, labelled)).toMatchObject({ attached: true, sandbox: { id } });
  expect(await create(opened, { scope_key: "a-1" })).toMatchObject({ attached: true, sandbox: { id } });
  await opened.engine.profiles.apply(OWNER, { kind: "profile", name: "team", version: 1, scope: "shared" });
  const shared = (await opened.engine.create(OWNER, { profile: "team" }, {})).sandbox.id;
  expect(await opened.engine.create(OWNER, { profile: "team" }, {})).toMatchObject({ attached: true, sandbox: { id: shared } });
});

it("a project's keys are its own", async () => {
  await using opened = await bench();
  const inProject = (project: string): Principal => ({ ...OWNER, project });
  const { id } = (await create(opened)).sandbox;
  const web = (await create(opened, {}, inProject("web"))).sandbox;
  expect(web.id).not.toBe(id);
  expect(await create(opened, {}, inProject("web"))).toMatchObject({ attached: true, sandbox: { id: web.id } });
  expect(await create(opened)).toMatchObject({ attached: true, sandbox: { id } });
});

it("an idempotency key that came with an attach names what was found", async () => {
  await using opened = await bench();
  const { id } = (await create(opened)).sandbox;
  expect(await create(opened, {}, OWNER, { idempotencyKey: "i" })).toMatchObject({ attached: true, sandbox: { id } });
  expect(await create(opened, {}, OWNER, { idempotencyKey: "i" })).toMatchObject({ replayed: true, sandbox: { id } });
});

it("one whose backend does not answer for it is no reason to make another", async () => {
  await using opened = await bench();
  const { id } = (await create(opened)).sandbox;
  await opened.ledger.db.updateTable("sandboxes").set({ state: "lost" }).where("id", "=", id).execute();
  await expect(create(opened)).rejects.toMatchObject({
    code: "backend_unavailable",
    details: { hint: expect.stringContaining(id) as unknown },
  });
  expect(opened.control().ids()).toEqual([id]);
});

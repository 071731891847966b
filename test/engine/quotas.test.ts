import { describe, expect, it } from "vitest";
import type { Principal, SandboxerError } from "../../src/contract/index.ts";
import type { Engine } from "../../src/engine/index.ts";
import { ADMIN, openBench, OWNER, STRANGER } from "./bench.ts";

async function keyFor(engine: Engine, more: object = {}): Promise<Principal> {
  const { secret } = await engine.keys.create(ADMIN, { name: "k", tenant: "acme", ...more });
  const who = await engine.keys.authenticate(secret);
  if (who === undefined) throw new Error("a new key does not work");
  return who;
}

/** How many of so many at once are made; all others must be refused by a quota. */
async function burst(count: number, create: (i: number) => Promise<unknown>): Promise<{ made: number; refused: SandboxerError[] }> {
  const results = await Promise.allSettled(Array.from({ length: count }, (_, i) => create(i)));
  const refused = results.flatMap((one) => (one.status === "rejected" ? [one.reason as SandboxerError] : []));
  for (const error of refused) expect(error).toMatchObject({ code: "quota_exceeded" });
  return { made: results.length - refused.length, refused };
}

describe("quotas", () => {
  it("let exactly as many of a hundred creates at once through as there is room for, over two processes", async () => {
    await using bench = await openBench();
    const second = await bench.second();
    await keyFor(bench.engine);
    await bench.engine.quotas.set(ADMIN, { subject: "tenant:acme", concurrent: 5 });
    const { made, refused } = await burst(100, (i) => (i % 2 === 0 ? bench.engine : second).create(OWNER, {}, {}));
    expect([made, refused.length]).toEqual([5, 95]);
    expect(refused[0]?.message).toContain("tenant:acme has 5 live sandboxes");
    expect((await bench.engine.list(OWNER, { limit: 50 })).data).toHaveLength(5);
    await bench.engine.create(STRANGER, {}, {});
    const [first] = (await bench.engine.list(OWNER, { limit: 50 })).data;
    await bench.engine.destroy(OWNER, first?.id ?? "");
    expect((await burst(10, () => second.create(OWNER, {}, {}))).made).toBe(1);
  });

  it("hold for a tenant, its project and the key all at once", async () => {
    await using bench = await openBench();
    const { engine } = bench;
    await engine.projects.create(ADMIN, { name: "web", tenant: "acme" });
    const [first, other] = [await keyFor(engine, { project: "web" }), await keyFor(engine, { project: "web" })];
    const free = await keyFor(engine);
    await engine.quotas.set(ADMIN, { subject: "tenant:acme", concurrent: 6 });
    await engine.quotas.set(ADMIN, { subject: "project:acme/web", concurrent: 4 });
    await engine.quotas.set(ADMIN, { subject: `key:${first.key_id}`, concurrent: 2 });
    expect((await burst(20, () => engine.create(first, {}, {}))).made).toBe(2);
    expect((await burst(20, () => engine.create(other, {}, {}))).made).toBe(2);
    expect((await burst(20, () => engine.create(free, {}, {}))).made).toBe(2);
    expect((await engine.quotas.list(ADMIN)).map(({ subject, used }) => [subject, used.concurrent])).toEqual([
      [`key:${first.key_id}`, 2],
      ["project:acme/web", 4],
      ["tenant:acme", 6],
    ]);
  });

  it("per minute hold over a restart, count what failed, and say how long to wait", async () => {
    await using bench = await openBench();
    await keyFor(bench.engine);
    await bench.engine.quotas.set(ADMIN, { subject: "tenant:acme", creates_per_minute: 3 });
    await bench.engine.destroy(OWNER, (await bench.engine.create(OWNER, {}, {})).sandbox.id);
    bench.clock.pass(20_000);
    bench.control().addFault({ on: "create", kind: "fail", times: 1 });
    await expect(bench.engine.create(OWNER, {}, {})).rejects.toMatchObject({ code: "backend_unavailable" });
    await bench.engine.create(OWNER, {}, {});
    const second = await bench.second();
    const refused = await second.create(OWNER, {}, {}).catch((thrown: unknown) => thrown as SandboxerError);
    expect(refused).toMatchObject({ code: "quota_exceeded", retryable: true, details: { retry_after: 40 } });
    bench.clock.pass(39_000);
    await expect(second.create(OWNER, {}, {})).rejects.toMatchObject({ details: { retry_after: 1 } });
    bench.clock.pass(1001);
    await second.create(OWNER, {}, {});
    await expect(second.create(OWNER, {}, {})).rejects.toMatchObject({ details: { retry_after: 20 } });
    expect((await second.quotas.list(ADMIN))[0]?.used).toEqual({ concurrent: 2, creates_per_minute: 3 });
  });

  it("let exactly as many of a hundred at once begin in a minute, and none where that is nought", async () => {
    await using bench = await openBench();
    const who = await keyFor(bench.engine);
    await bench.engine.quotas.set(ADMIN, { subject: `key:${who.key_id}`, creates_per_minute: 7 });
    expect((await burst(100, () => bench.engine.create(who, {}, {}))).made).toBe(7);
    await bench.engine.quotas.set(ADMIN, { subject: `key:${who.key_id}`, creates_per_minute: 0 });
    bench.clock.pass(120_000);
    expect((await burst(3, () => bench.engine.create(who, {}, {}))).made).toBe(0);
    await bench.engine.quotas.remove(ADMIN, `key:${who.key_id}`);
    await bench.engine.create(who, {}, {});
  });

  it("are of what exists, and managed by an admin", async () => {
    await using bench = await openBench();
    const set = (subject: string, who = ADMIN) => bench.engine.quotas.set(who, { subject, concurrent: 1 });
    for (const subject of ["tenant:nobody", "project:acme/none", "key:ky0000000000000000000000"])
      await expect(set(subject)).rejects.toMatchObject({ code: "not_found" });
    await expect(set("acme")).rejects.toMatchObject({ code: "invalid_request" });
    await expect(bench.engine.quotas.set(ADMIN, { subject: "tenant:acme" })).rejects.toMatchObject({ code: "invalid_request" });
    await expect(bench.engine.quotas.remove(ADMIN, "tenant:acme")).rejects.toMatchObject({ code: "not_found" });
    await expect(set("tenant:acme", OWNER)).rejects.toMatchObject({ code: "forbidden" });
    await expect(bench.engine.quotas.list(OWNER)).rejects.toMatchObject({ code: "forbidden" });
  });
});

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { ADMIN, openBench, OWNER } from "./bench.ts";

describe("keys", () => {
  it("say who presents them, until the moment they are revoked", async () => {
    await using bench = await openBench();
    const { key, secret } = await bench.engine.keys.create(ADMIN, { name: "ci", tenant: "acme", scopes: ["read"] });
    expect(secret).toMatch(/^sbx_[0-9a-f]{40}$/);
    expect(await bench.engine.keys.authenticate(secret)).toEqual({ tenant: "acme", key_id: key.id, scopes: ["read"] });
    const second = await bench.second();
    expect((await second.keys.revoke(ADMIN, key.id)).revoked_at).not.toBeNull();
    expect(await bench.engine.keys.authenticate(secret)).toBeUndefined();
    expect((await bench.engine.keys.list(ADMIN))[0]).toMatchObject({ id: key.id, last_used_at: expect.any(String) as string });
  });

  it("are nowhere in the data directory", async () => {
    await using bench = await openBench();
    const { secret } = await bench.engine.keys.create(ADMIN, { name: "ci" });
    for (const file of ["ledger.db", "ledger.db-wal"])
      expect(readFileSync(join(bench.directory, file)).includes(secret.slice(4))).toBe(false);
  });

  it.each(["", "sbx_", `sbx_${"0".repeat(40)}`, "x".repeat(10_000)])("that do not exist are nobody (%#)", async (secret) => {
    await using bench = await openBench();
    expect(await bench.engine.keys.authenticate(secret)).toBeUndefined();
  });

  it("are managed by an admin alone", async () => {
    await using bench = await openBench();
    await expect(bench.engine.keys.create(OWNER, { name: "x" })).rejects.toMatchObject({ code: "forbidden" });
    await expect(bench.engine.keys.list(OWNER)).rejects.toMatchObject({ code: "forbidden" });
    await expect(bench.engine.keys.revoke(OWNER, "ky")).rejects.toMatchObject({ code: "forbidden" });
    await expect(bench.engine.keys.revoke(ADMIN, "ky")).rejects.toMatchObject({ code: "not_found" });
  });

  it("that have expired are nobody from that moment on", async () => {
    await using bench = await openBench();
    const { key, secret } = await bench.engine.keys.create(ADMIN, { name: "ci", expires_in: "1h" });
    bench.clock.pass(3_599_999);
    expect(await bench.engine.keys.authenticate(secret)).toMatchObject({ key_id: key.id });
    expect(await bench.engine.keys.holds(key.id)).toBe(true);
    bench.clock.pass(1);
    expect(await bench.engine.keys.authenticate(secret)).toBeUndefined();
    expect(await bench.engine.keys.holds(key.id)).toBe(false);
  });

  it("that are rotated work under both secrets for the overlap, and are the same key", async () => {
    await using bench = await openBench();
    const { engine, clock } = bench;
    const first = await engine.keys.create(ADMIN, { name: "ci" });
    const second = await engine.keys.rotate(ADMIN, first.key.id, { overlap: "10m" });
    expect(second.key).toMatchObject({
      id: first.key.id,
      rotated_at: expect.any(String) as string,
      old_secret_until: expect.any(String) as string,
    });
    for (const { secret } of [first, second]) expect(await engine.keys.authenticate(secret)).toMatchObject({ key_id: first.key.id });
    const third = await engine.keys.rotate(ADMIN, first.key.id, { overlap: "10m" });
    expect(await engine.keys.authenticate(first.secret), "of before the last but one").toBeUndefined();
    clock.pass(599_999);
    expect(await engine.keys.authenticate(second.secret)).toBeDefined();
    clock.pass(1);
    expect(await engine.keys.authenticate(second.secret)).toBeUndefined();
    expect(await engine.keys.authenticate(third.secret)).toBeDefined();
    const fourth = await engine.keys.rotate(ADMIN, first.key.id, { overlap: 0, expires_in: "1h" });
    expect(await engine.keys.authenticate(third.secret), "without an overlap").toBeUndefined();
    clock.pass(3_600_000);
    expect(await engine.keys.authenticate(fourth.secret), "expired").toBeUndefined();
  });

  it("that are revoked open nothing under either secret, and are not rotated", async () => {
    await using bench = await openBench();
    const first = await bench.engine.keys.create(ADMIN, { name: "ci" });
    const second = await bench.engine.keys.rotate(ADMIN, first.key.id, {});
    await bench.engine.keys.revoke(ADMIN, first.key.id);
    for (const { secret } of [first, second]) expect(await bench.engine.keys.authenticate(secret)).toBeUndefined();
    await expect(bench.engine.keys.rotate(ADMIN, first.key.id, {})).rejects.toMatchObject({ code: "conflict" });
  });

  it("of a suspended tenant open nothing until it is let in again", async () => {
    await using bench = await openBench();
    const { key, secret } = await bench.engine.keys.create(ADMIN, { name: "ci", tenant: "acme" });
    await bench.engine.tenants.suspend(ADMIN, "acme", true);
    expect([await bench.engine.keys.authenticate(secret), await bench.engine.keys.holds(key.id)]).toEqual([undefined, false]);
    await bench.engine.tenants.suspend(ADMIN, "acme", false);
    expect([(await bench.engine.keys.authenticate(secret))?.tenant, await bench.engine.keys.holds(key.id)]).toEqual(["acme", true]);
    await expect(bench.engine.tenants.suspend(ADMIN, "nobody", true)).rejects.toMatchObject({ code: "not_found" });
  });

  it.each([
    ["admin", ["read", "write", "secrets", "admin"]],
    ["operator", ["read", "write", "secrets"]],
    ["agent", ["read", "write"]],
    ["read-only", ["read"]],
  ])("of the role %s have its scopes, and never more", async (role, scopes) => {
    await using bench = await openBench();
    const { key, secret } = await bench.engine.keys.create(ADMIN, { name: "k", role, labels: ["reviewed"] });
    expect(key.scopes).toEqual(scopes);
    expect(await bench.engine.keys.authenticate(secret)).toMatchObject({ role, scopes, labels: ["reviewed"] });
    if (role !== "admin")
      await expect(bench.engine.keys.create(ADMIN, { name: "k", role, scopes: ["read", "admin"] })).rejects.toMatchObject({
        code: "invalid_request",
      });
  });

  it("of an agent publish no profile, and of an operator do", async () => {
    await using bench = await openBench();
    const as = async (role: string) => {
      const who = await bench.engine.keys.authenticate(
        (await bench.engine.keys.create(ADMIN, { name: role, tenant: "acme", role })).secret,
      );
      if (who === undefined) throw new Error("a new key does not work");
      return bench.engine.profiles.apply(who, { kind: "profile", name: "mine", version: 1 });
    };
    await expect(as("agent")).rejects.toMatchObject({ code: "forbidden" });
    await expect(as("read-only")).rejects.toMatchObject({ code: "forbidden" });
    expect((await as("operator")).created).toBe(true);
  });

  it("of a role of one's own need scopes, and those of a project one that exists and no admin", async () => {
    await using bench = await openBench();
    const create = (more: object) => bench.engine.keys.create(ADMIN, { name: "k", tenant: "acme", ...more });
    await expect(create({ role: "ci" })).rejects.toMatchObject({ code: "invalid_request" });
    expect((await create({ role: "ci", scopes: ["read"] })).key).toMatchObject({ role: "ci", scopes: ["read"] });
    await bench.engine.projects.create(ADMIN, { name: "web", tenant: "acme" });
    await expect(create({ project: "wbe" })).rejects.toMatchObject({
      code: "not_found",
      message: expect.stringContaining('nearest: "web"') as string,
    });
    await expect(create({ project: "web", role: "admin" })).rejects.toMatchObject({ code: "invalid_request" });
    const { key } = await create({ project: "web" });
    await expect(bench.engine.projects.remove(ADMIN, "acme", "web")).rejects.toMatchObject({ code: "conflict" });
    await bench.engine.keys.revoke(ADMIN, key.id);
    await bench.engine.projects.remove(ADMIN, "acme", "web");
    expect(await bench.engine.projects.list(ADMIN)).toEqual([]);
  });

  it("of a project have keys of idempotency of their own", async () => {
    await using bench = await openBench();
    const made = async (project: string) => {
      await bench.engine.projects.create(ADMIN, { name: project, tenant: "acme" });
      const who = await bench.engine.keys.authenticate(
        (await bench.engine.keys.create(ADMIN, { name: "k", tenant: "acme", project })).secret,
      );
      if (who === undefined) throw new Error("a new key does not work");
      return bench.engine.create(who, {}, { idempotencyKey: "once" });
    };
    const [web, ops] = [await made("web"), await made("ops")];
    expect(ops.replayed).toBe(false);
    expect(ops.sandbox.id).not.toBe(web.sandbox.id);
  });
});

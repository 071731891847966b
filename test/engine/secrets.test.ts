import { randomBytes } from "node:crypto";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { Principal } from "../../src/contract/index.ts";
import { deliverIfStale, rebindSecrets } from "../../src/engine/secret-delivery.ts";
import { ADMIN, STRANGER } from "./bench.ts";
import { binding, openStage } from "./secret-stage.ts";

const OWNER: Principal = { tenant: "acme", key_id: "ky1", scopes: ["read", "write", "secrets"] };
const values = (told: readonly { value: string; revoked?: true }[] | undefined) =>
  told?.map(({ value, revoked }) => (revoked ? "revoked" : value));

describe("secrets", () => {
  it("are stored, listed without their values, rotated and removed; versions go on", async () => {
    const { engine } = await openStage();
    expect(await engine.secrets.set(OWNER, "npm", { value: "first" })).toMatchObject({
      name: "npm",
      version: 1,
      rotated_at: null,
      sandboxes: [],
    });
    await expect(engine.secrets.set(OWNER, "npm", { value: "second" })).rejects.toMatchObject({ code: "conflict" });
    expect(await engine.secrets.set(OWNER, "npm", { value: "second" }, { replace: true })).toMatchObject({
      version: 2,
      rotated_at: expect.any(String) as string,
    });
    expect(await engine.secrets.rotate(OWNER, "npm", { value: "third" })).toMatchObject({ version: 3 });
    const [listed, ...others] = await engine.secrets.list(OWNER);
    expect(others).toEqual([]);
    expect(Object.keys(listed ?? {}).sort()).toEqual([
      "created_at",
      "hosts",
      "last_used_at",
      "name",
      "object",
      "removed_at",
      "rotated_at",
      "sandboxes",
      "tenant",
      "version",
    ]);
    expect(await engine.secrets.remove(OWNER, "npm")).toMatchObject({ removed_at: expect.any(String) as string });
    expect(await engine.secrets.remove(OWNER, "npm"), "safe to repeat").toMatchObject({ version: 3 });
    expect(await engine.secrets.list(OWNER)).toEqual([]);
    await expect(engine.secrets.rotate(OWNER, "npm", { value: "x" })).rejects.toMatchObject({ code: "secret_not_found" });
    await expect(engine.secrets.remove(OWNER, "none")).rejects.toMatchObject({ code: "secret_not_found" });
    expect(await engine.secrets.set(OWNER, "npm", { value: "again" })).toMatchObject({ version: 4, rotated_at: null });
  });

  it("belong to a tenant: another's are as those that do not exist", async () => {
    const { engine, sandbox } = await openStage();
    await engine.secrets.set(OWNER, "npm", { value: "mine" });
    expect(await engine.secrets.list(STRANGER)).toEqual([]);
    const stranger: Principal = { ...STRANGER, key_id: "ky2", scopes: ["read", "write", "secrets"] };
    await expect(engine.secrets.remove(stranger, "npm")).rejects.toMatchObject({ code: "secret_not_found" });
    await expect(sandbox(stranger, [binding("npm", { vault: "npm" })])).rejects.toMatchObject({ code: "secret_not_found" });
    await engine.secrets.set(stranger, "npm", { value: "theirs" });
    const [a, b] = [await sandbox(OWNER, [binding("npm", { vault: "npm" })]), await sandbox(stranger, [binding("npm", { vault: "npm" })])];
    expect([values(a.secrets.bound), values(b.secrets.bound)]).toEqual([["mine"], ["theirs"]]);
  });

  it("are changed with the scope for it alone", async () => {
    const { engine } = await openStage();
    const writer: Principal = { tenant: "acme", key_id: "ky3", scopes: ["read", "write"] };
    for (const attempt of [
      engine.secrets.set(writer, "a", { value: "x" }),
      engine.secrets.rotate(writer, "a", { value: "x" }),
      engine.secrets.remove(writer, "a"),
    ])
      await expect(attempt).rejects.toMatchObject({ code: "forbidden" });
    expect(await engine.secrets.set(ADMIN, "a", { value: "x" })).toMatchObject({ tenant: "default" });
  });

  it.each([
    ["", "x"],
    ["a/b", "x"],
    ["..", "x"],
    ["a", ""],
    ["a", "x\r\ny"],
    ["a", "x\0"],
    ["a", "x".repeat(65_537)],
  ])("with a bad name or value are refused, and the value is not repeated (%#)", async (name, value) => {
    const { engine } = await openStage();
    const error = await engine.secrets.set(OWNER, name, { value }).then(
      () => expect.unreachable(),
      (thrown: Error) => thrown,
    );
    expect(error).toMatchObject({ code: "invalid_request" });
    expect(JSON.stringify(error).length).toBeLessThan(1000);
  });

  it("are told of in events by name and version", async () => {
    const { engine } = await openStage();
    await engine.secrets.set(OWNER, "npm", { value: "tell-no-one" });
    await engine.secrets.rotate(OWNER, "npm", { value: "tell-no-one-2" });
    await engine.secrets.remove(OWNER, "npm");
    await engine.secrets.remove(OWNER, "npm");
    const { data } = await engine.events.list(OWNER, { limit: 10 });
    expect(data.filter(({ type }) => type.startsWith("secret")).map((event) => [event.type, event.data])).toEqual([
      ["secret.set", { name: "npm", version: 1, key_id: "ky1" }],
      ["secret.rotated", { name: "npm", version: 2, key_id: "ky1" }],
      ["secret.removed", { name: "npm", version: 2, key_id: "ky1" }],
    ]);
  });

  it("are nowhere in the data directory as they are, nor are earlier values in the table in any form", async () => {
    const { engine, directory, ctx, sandbox } = await openStage();
    const [first, second] = [randomBytes(16).toString("hex"), randomBytes(16).toString("hex")];
    await engine.secrets.set(OWNER, "npm", { value: first });
    await sandbox(OWNER, [binding("npm", { vault: "npm" }, {}, { env: "NPM_TOKEN", file: "/run/npm" })]);
    await engine.secrets.rotate(OWNER, "npm", { value: second });
    expect(await ctx.ledger.db.selectFrom("secrets").select(["version"]).execute()).toEqual([{ version: 2 }]);
    const files = globSync("**", { cwd: directory, withFileTypes: true }).filter((entry) => entry.isFile());
    expect(files.map(({ name }) => name)).toEqual(expect.arrayContaining([...(ctx.ledger.shared ? [] : ["ledger.db"]), "secrets.key"]));
    for (const { parentPath, name } of files) {
      const bytes = readFileSync(join(parentPath, name));
      for (const value of [first, second])
        for (const form of [value, Buffer.from(value).toString("base64").slice(0, 24), Buffer.from(value, "hex")])
          expect(bytes.includes(form), name).toBe(false);
    }
  });

  it("cannot be moved in the ledger to another name or tenant", async () => {
    const { engine, ctx, sandbox } = await openStage();
    await engine.secrets.set(OWNER, "npm", { value: "mine" });
    await ctx.ledger.db.updateTable("secrets").set({ tenant: "other" }).execute();
    await expect(sandbox({ ...STRANGER, key_id: "ky2" }, [binding("npm", { vault: "npm" })])).rejects.toMatchObject({
      code: "secret_unavailable",
    });
  });
});

describe("a change of a secret", () => {
  it("is told to the boundary of every live sandbox that it is bound to, under the same placeholder, before it is answered", async () => {
    const { engine, told, sandbox } = await openStage();
    await engine.secrets.set(OWNER, "npm", { value: "one" });
    await engine.secrets.set(OWNER, "git", { value: "git" });
    const bound = await sandbox(OWNER, [binding("npm", { vault: "npm" }), binding("git", { vault: "git" })]);
    const other = await sandbox(OWNER, [binding("git", { vault: "git" })]);
    const ended = await sandbox(OWNER, [binding("npm", { vault: "npm" })]);
    await engine.destroy(OWNER, ended.id);
    expect(await engine.secrets.rotate(OWNER, "npm", { value: "two" })).toMatchObject({ sandboxes: [bound.id] });
    expect([...told.of.keys()]).toEqual([bound.id]);
    expect(values(told.of.get(bound.id))?.sort()).toEqual(["git", "two"]);
    const placeholders = (list: readonly { binding: { placeholder: string } }[] | undefined) =>
      list?.map(({ binding }) => binding.placeholder).sort();
    expect(placeholders(told.of.get(bound.id))).toEqual(placeholders(bound.secrets.bound));
    await engine.secrets.remove(OWNER, "git");
    expect(values(told.of.get(bound.id))?.sort()).toEqual(["revoked", "two"]);
    expect(told.of.get(other.id)).toEqual([{ binding: other.secrets.bound[0]?.binding, value: "", revoked: true }]);
    await engine.secrets.set(OWNER, "git", { value: "anew" });
    expect(values(told.of.get(other.id))).toEqual(["anew"]);
  });

  it("that the boundary could not be told is an error, and the next sweep's to deliver", async () => {
    const { engine, told, sandbox } = await openStage();
    await engine.secrets.set(OWNER, "npm", { value: "one" });
    const { id } = await sandbox(OWNER, [binding("npm", { vault: "npm" })]);
    told.down = true;
    await expect(engine.secrets.remove(OWNER, "npm")).rejects.toMatchObject({
      code: "backend_unavailable",
      message: expect.stringContaining(id) as string,
    });
    expect(await engine.secrets.list(OWNER)).toEqual([]);
    const missed = async () => (await engine.sweep()).errors.map(({ sandbox_id, code }) => [sandbox_id, code]);
    expect(await missed()).toEqual([[id, "backend_unavailable"]]);
    told.down = false;
    expect(await missed()).toEqual([]);
    expect(values(told.of.get(id))).toEqual(["revoked"]);
    told.of.clear();
    expect(await missed()).toEqual([]);
    expect(told.of.size, "nothing is missed any more").toBe(0);
  });

  it("that overtakes another one in the middle of its delivery is the last word", async () => {
    const { engine, told, sandbox } = await openStage();
    await engine.secrets.set(OWNER, "npm", { value: "one" });
    const { id } = await sandbox(OWNER, [binding("npm", { vault: "npm" })]);
    const held = Promise.withResolvers<void>();
    let calls = 0;
    told.hold = () => (calls++ === 0 ? held.promise : Promise.resolve());
    const slow = engine.secrets.rotate(OWNER, "npm", { value: "two" });
    await expect.poll(() => calls).toBe(1);
    await engine.secrets.rotate(OWNER, "npm", { value: "three" });
    held.resolve();
    await slow;
    expect(values(told.of.get(id))).toEqual(["three"]);
  });

  it("between a create's reading and its session is found once the session is there", async () => {
    const { engine, told, ctx, sandbox } = await openStage();
    await engine.secrets.set(OWNER, "npm", { value: "one" });
    const { id } = await sandbox(OWNER, [binding("npm", { vault: "npm" })]);
    await deliverIfStale(ctx, id);
    expect(told.of.size).toBe(0);
    told.down = true;
    await expect(engine.secrets.rotate(OWNER, "npm", { value: "two" })).rejects.toMatchObject({ code: "backend_unavailable" });
    told.down = false;
    await deliverIfStale(ctx, id);
    expect(values(told.of.get(id))).toEqual(["two"]);
  });

  it("while a create has no session yet does not fail, and is not lost", async () => {
    const { engine, told, ctx, sandbox } = await openStage();
    await engine.secrets.set(OWNER, "npm", { value: "one" });
    const { id } = await sandbox(OWNER, [binding("npm", { vault: "npm" })]);
    told.unknown.add(id);
    expect(await engine.secrets.rotate(OWNER, "npm", { value: "two" })).toMatchObject({ version: 2 });
    expect((await engine.sweep()).errors).toEqual([]);
    told.unknown.delete(id);
    await deliverIfStale(ctx, id);
    expect(values(told.of.get(id))).toEqual(["two"]);
  });

  it("of the key leaves every value unreadable, and what cannot be read is withheld", async () => {
    const { engine, ctx, sandbox, directory } = await openStage();
    const { rmSync } = await import("node:fs");
    await engine.secrets.set(OWNER, "npm", { value: "one" });
    const { id } = await sandbox(OWNER, [binding("npm", { vault: "npm" })]);
    rmSync(join(directory, "secrets.key"));
    expect(values(await rebindSecrets(ctx, id))).toEqual(["revoked"]);
  });
});

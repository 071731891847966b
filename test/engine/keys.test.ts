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
});

import { describe, expect, it } from "vitest";
import { openBench, OWNER, STRANGER } from "./bench.ts";

const mine = (version: number, more: object = {}) => ({ kind: "profile", name: "mine", version, ...more });

describe("profiles", () => {
  it("ship in five kinds, each of which makes a sandbox", async () => {
    await using bench = await openBench();
    expect((await bench.engine.profiles.list(OWNER)).map(({ name, shipped }) => [name, shipped])).toEqual([
      ["default", true],
      ["e2b-base", true],
      ["node", true],
      ["python", true],
      ["untrusted", true],
    ]);
    for (const profile of ["default", "e2b-base", "node", "python", "untrusted"]) {
      expect((await bench.engine.create(OWNER, { profile }, {})).sandbox).toMatchObject({ state: "ready", profile: { name: profile } });
    }
  });

  it("are immutable: the same version again is answered as it is, with other content refused with the next free version", async () => {
    await using bench = await openBench();
    const first = await bench.engine.profiles.apply(OWNER, mine(1, { env: { A: "1", B: "2" } }));
    expect(first.created).toBe(true);
    expect(await bench.engine.profiles.apply(OWNER, mine(1, { env: { B: "2", A: "1" } }))).toEqual({
      profile: first.profile,
      created: false,
    });
    await expect(bench.engine.profiles.apply(OWNER, mine(1, { env: { A: "2" } }))).rejects.toMatchObject({
      code: "conflict",
      details: { issues: [{ path: "version", nearest: "2" }] },
    });
  });

  it("are found by their newest version or the one that is named, a tenant's own before the shipped, and by no other tenant", async () => {
    await using bench = await openBench();
    for (const version of [1, 3, 2]) await bench.engine.profiles.apply(OWNER, mine(version));
    await bench.engine.profiles.apply(OWNER, { ...mine(7), name: "python" });
    expect((await bench.engine.profiles.get(OWNER, "mine")).version).toBe(3);
    expect((await bench.engine.profiles.get(OWNER, "mine@2")).version).toBe(2);
    expect((await bench.engine.profiles.get(OWNER, "python")).version).toBe(7);
    expect((await bench.engine.profiles.get(OWNER, "python@1")).shipped).toBe(true);
    expect((await bench.engine.profiles.get(STRANGER, "python")).version).toBe(1);
    await expect(bench.engine.profiles.get(STRANGER, "mine")).rejects.toMatchObject({ code: "profile_not_found" });
  });

  it("are strict: an unknown key or value is refused by name", async () => {
    await using bench = await openBench();
    await expect(bench.engine.profiles.apply(OWNER, mine(1, { resorces: {} }))).rejects.toMatchObject({
      code: "invalid_request",
      details: { issues: [{ path: "resorces", nearest: "resources" }] },
    });
    await expect(bench.engine.profiles.apply(OWNER, mine(1, { user: "4294967296" }))).rejects.toMatchObject({ code: "invalid_request" });
  });
});

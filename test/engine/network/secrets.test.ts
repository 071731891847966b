import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { BoundSecret, Principal } from "../../../src/contract/index.ts";
import { openSealer } from "../../../src/guard/index.ts";
import { MemoryBoundary } from "../../support/memory-boundary.ts";
import { type Bench, run } from "../bench.ts";
import { openStage, thrownBy } from "./stage.ts";

const OWNER: Principal = { tenant: "acme", key_id: "ky1", scopes: ["read", "write", "secrets"] };

/** What the boundary has of a sandbox. */
function held(boundary: MemoryBoundary, id: string): readonly BoundSecret[] {
  return boundary.store.get(id)?.session.secrets ?? [];
}

const AGENT = {
  kind: "profile",
  name: "agent",
  version: 1,
  network: { allow: [{ host: "api.example.com", tls: "inspect" }] },
  secrets: [
    {
      name: "token",
      source: { vault: "github" },
      inject: { type: "bearer", hosts: ["api.example.com"] },
      expose: { env: "GITHUB_TOKEN", file: "/workspace/token" },
    },
  ],
};

async function stage(): Promise<Bench & { boundary: MemoryBoundary }> {
  const boundary = new MemoryBoundary();
  let directory = "";
  const opened = await openStage({ engine: { sealer: () => openSealer(directory, {}) } }, boundary);
  ({ directory } = opened);
  await opened.engine.profiles.apply(OWNER, AGENT);
  return { ...opened, boundary, [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose]() };
}

describe("a sandbox with secrets", () => {
  it("sees placeholders in its variables and files; the boundary has the value before the sandbox exists; nothing else ever has it", async () => {
    await using bench = await stage();
    const { engine, boundary, directory } = bench;
    await engine.secrets.set(OWNER, "github", { value: "tell-no-one", hosts: ["api.example.com"] });
    const { sandbox } = await engine.create(OWNER, { profile: "agent", env: { GITHUB_TOKEN: "of-the-request" } }, {});
    const [bound, ...others] = held(boundary, sandbox.id);
    expect(others).toEqual([]);
    expect(bound).toMatchObject({ value: "tell-no-one", binding: { name: "token", hosts: ["api.example.com"], ports: [443] } });
    expect(boundary.calls[0]).toBe(`prepare ${sandbox.id}`);
    const placeholder = bound?.binding.placeholder ?? "none";
    expect((await run(engine, OWNER, sandbox.id, "echo $GITHUB_TOKEN; cat /workspace/token")).stdout).toBe(
      `${placeholder}\n${placeholder}`,
    );
    expect(await engine.secrets.list(OWNER)).toMatchObject([{ sandboxes: [sandbox.id], last_used_at: expect.any(String) as string }]);
    expect(JSON.stringify(await engine.get(OWNER, sandbox.id))).not.toContain("tell-no-one");
    expect(JSON.stringify(await engine.events.list(OWNER, { limit: 1000 }))).not.toContain("tell-no-one");
    for (const name of globSync("ledger.db*", { cwd: directory }))
      expect(readFileSync(join(directory, name)).includes("tell-no-one"), name).toBe(false);
  });

  it("has the new value from a rotation on and none from a removal on, under the placeholder it knows, also from a later process", async () => {
    await using bench = await stage();
    const { engine, boundary } = bench;
    await engine.secrets.set(OWNER, "github", { value: "one" });
    const { sandbox } = await engine.create(OWNER, { profile: "agent" }, {});
    const before = held(boundary, sandbox.id)[0]?.binding;
    const later = await bench.second({ sealer: () => openSealer(bench.directory, {}), boundary: async () => boundary });
    await later.secrets.rotate(OWNER, "github", { value: "two" });
    expect(held(boundary, sandbox.id)).toEqual([{ binding: before, value: "two" }]);
    await engine.secrets.remove(OWNER, "github");
    expect(held(boundary, sandbox.id)).toEqual([{ binding: before, value: "", revoked: true }]);
  });

  it("gets what was changed while it was being made", async () => {
    await using bench = await stage();
    const { engine, boundary } = bench;
    await engine.secrets.set(OWNER, "github", { value: "one" });
    let changed: Promise<unknown> | undefined;
    // Its row is there and its session is not: the rotation finds it and cannot tell anybody.
    boundary.before = async (call) => {
      if (call === "prepare") await (changed ??= engine.secrets.rotate(OWNER, "github", { value: "two" }));
    };
    const { sandbox } = await engine.create(OWNER, { profile: "agent" }, {});
    expect(changed).toBeDefined();
    expect(held(boundary, sandbox.id)).toMatchObject([{ value: "two" }]);
    expect(boundary.calls.indexOf(`attach ${sandbox.id}`)).toBeGreaterThan(boundary.calls.lastIndexOf(`secrets ${sandbox.id}`));
  });

  it("is not made, and leaves nothing, where a secret is missing or may not go where the profile says", async () => {
    await using bench = await stage();
    const { engine, boundary } = bench;
    expect(await thrownBy(() => engine.create(OWNER, { profile: "agent" }, {}))).toMatchObject({
      code: "secret_not_found",
      details: { issues: [{ path: "secrets[0].source.vault" }] },
    });
    await engine.secrets.set(OWNER, "github", { value: "one", hosts: ["api.other.com"] });
    expect(await thrownBy(() => engine.create(OWNER, { profile: "agent" }, {}))).toMatchObject({ code: "policy_denied" });
    expect(boundary.store.size).toBe(0);
    expect((await engine.list(OWNER, { limit: 10 })).data).toEqual([]);
  });
});

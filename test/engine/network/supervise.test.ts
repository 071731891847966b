import { describe, expect, it, onTestFinished, vi } from "vitest";
import { SandboxerError } from "../../../src/contract/index.ts";
import { findNetwork } from "../../../src/ledger/index.ts";
import { OWNER, run } from "../bench.ts";
import { MemoryBoundary } from "../../support/memory-boundary.ts";
import { openStage } from "./stage.ts";

const gone = new SandboxerError("backend_unavailable", "the boundary does not answer");

describe("watching over the boundary", () => {
  it("attaches again what a boundary that was started anew does not serve", async () => {
    await using stage = await openStage();
    const { sandbox } = await stage.engine.create(OWNER, { profile: "net" }, {});
    stage.boundary.detachAll();
    expect((await stage.engine.sweep()).errors).toEqual([]);
    expect(stage.boundary.store.get(sandbox.id)?.namespace).not.toBeNull();
  });

  it("keeps a sandbox running without traffic while there is no boundary, says so, and has it back", async () => {
    await using stage = await openStage();
    const { sandbox } = await stage.engine.create(OWNER, { profile: "net" }, {});
    for (const call of ["sessions", "traffic", "verdicts", "attach"] as const) stage.boundary.faults.set(call, gone);
    stage.boundary.detachAll();
    await stage.engine.sweep();
    expect((await stage.engine.health()).checks["boundary"]).toEqual({ ok: false, detail: gone.message });
    expect(await stage.engine.network.get(OWNER, sandbox.id)).toMatchObject({ state: "unavailable", problem: gone.message });
    expect((await stage.engine.get(OWNER, sandbox.id)).state).toBe("ready");
    expect((await run(stage.engine, OWNER, sandbox.id, "echo up")).stdout).toBe("up\n");
    stage.boundary.faults.clear();
    await stage.engine.sweep();
    expect((await stage.engine.health()).checks["boundary"]).toEqual({ ok: true, detail: null });
    expect(await stage.engine.network.get(OWNER, sandbox.id)).toMatchObject({ state: "attached", problem: null });
  });

  it("says that one whose session is gone has no way out any more", async () => {
    await using stage = await openStage();
    const { sandbox } = await stage.engine.create(OWNER, { profile: "net" }, {});
    stage.boundary.store.clear();
    await stage.engine.sweep();
    const { state, problem } = await stage.engine.network.get(OWNER, sandbox.id);
    expect([state, problem]).toEqual(["unavailable", expect.stringContaining("does not know this sandbox")]);
  });

  it("takes over the sessions of a process before it, with the policy that was last written", async () => {
    await using stage = await openStage();
    const { sandbox } = await stage.engine.create(OWNER, { profile: "net" }, {});
    stage.boundary.faults.set("update", gone);
    await expect(stage.engine.network.update(OWNER, sandbox.id, { allow: [] })).rejects.toMatchObject({ code: "backend_unavailable" });
    expect(await stage.engine.network.get(OWNER, sandbox.id)).toMatchObject({ revision: 2, applied_revision: 1, rules: [] });
    const later = new MemoryBoundary(stage.boundary.store, stage.boundary.journal);
    const second = await stage.second({ boundary: async () => later });
    expect((await second.sweep({ adopt: true })).adopted).toEqual([sandbox.id]);
    expect(later.calls.filter((call) => call.startsWith("update"))).toEqual([`update ${sandbox.id}`]);
    expect(await second.network.get(OWNER, sandbox.id)).toMatchObject({ revision: 2, applied_revision: 2 });
  });

  it("removes sessions of sandboxes that do not live, and no other", async () => {
    await using stage = await openStage();
    const { sandbox } = await stage.engine.create(OWNER, { profile: "net" }, {});
    const held = stage.boundary.store.get(sandbox.id);
    if (held === undefined) throw new Error("no session");
    stage.boundary.store.set("sb-of-nobody", { ...held, session: { ...held.session, id: "sb-of-nobody" } });
    expect((await stage.engine.sweep()).orphans_removed).toEqual([{ id: "sb-of-nobody", backend: "boundary" }]);
    expect([...stage.boundary.store.keys()]).toEqual([sandbox.id]);
  });

  it("ends a sandbox whose profile says so when its placeholder was sent to the wrong host", async () => {
    vi.stubEnv("MILD", "mild-value");
    vi.stubEnv("HARD", "hard-value");
    onTestFinished(() => void vi.unstubAllEnvs());
    await using stage = await openStage({ config: { secrets: { env: ["MILD", "HARD"] } } });
    const secret = (name: string, on_violation: string) => ({
      name,
      source: { env: name },
      inject: { type: "bearer", hosts: ["api.example.com"], on_violation },
    });
    await stage.engine.profiles.apply(OWNER, {
      kind: "profile",
      name: "strict",
      version: 1,
      network: { allow: [{ host: "api.example.com", tls: "inspect" }] },
      secrets: [secret("MILD", "block"), secret("HARD", "terminate")],
    });
    const { sandbox } = await stage.engine.create(OWNER, { profile: "strict" }, {});
    stage.boundary.decide(sandbox.id, { reason: "placeholder", secret: "MILD", host: "api.example.com" });
    await stage.engine.sweep();
    expect((await stage.engine.get(OWNER, sandbox.id)).state).toBe("ready");
    stage.boundary.decide(sandbox.id, { reason: "placeholder", secret: "HARD", host: "evil.example" });
    await stage.engine.sweep();
    const { state, termination } = await stage.engine.get(OWNER, sandbox.id);
    expect([state, termination]).toEqual([
      "terminated",
      { reason: "policy", detail: "the placeholder of secret HARD was sent to evil.example:443" },
    ]);
    expect((await findNetwork(stage.ledger.db, sandbox.id))?.released_at).not.toBeNull();
  });
});

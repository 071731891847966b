import { describe, expect, it } from "vitest";
import { SandboxerError } from "../../../src/contract/index.ts";
import { ADMIN, OWNER, STRANGER, trail } from "../bench.ts";
import { openStage } from "./stage.ts";

describe("changing what a live sandbox may reach", () => {
  it("replaces the rules, tells the boundary, and says what changed and how many connections were closed", async () => {
    await using stage = await openStage();
    const { sandbox } = await stage.engine.create(OWNER, { profile: "net" }, {});
    Object.assign(stage.boundary.store.get(sandbox.id) ?? {}, { open: 3 });
    const change = await stage.engine.network.update(OWNER, sandbox.id, { allow: [] });
    expect(change).toMatchObject({
      dry_run: false,
      added: [],
      narrowed: [],
      closed: 3,
      network: { revision: 2, applied_revision: 2, rules: [] },
    });
    expect(change.removed.map(({ host }) => host)).toEqual(["api.example.com", "*.example.org"]);
    expect(stage.boundary.store.get(sandbox.id)?.policy.rules).toEqual([]);
    expect(await trail(stage.engine, sandbox.id)).toContain("network.updated");
    const back = await stage.engine.network.update(OWNER, sandbox.id, { allow: [{ host: "www.example.org" }] });
    expect([back.added.map(({ host }) => host), back.network.revision]).toEqual([["www.example.org"], 3]);
  });

  it("goes no further than the profile, and names what was asked for beyond it", async () => {
    await using stage = await openStage();
    const { sandbox } = await stage.engine.create(OWNER, { profile: "net" }, {});
    const change = await stage.engine.network.update(OWNER, sandbox.id, {
      allow: [{ host: "api.example.com", ports: [443, 22] }, { host: "evil.test" }],
      limits: { bytes: "1GiB" },
      mode: "audit",
    });
    expect(change.narrowed.toSorted()).toEqual(["network.allow[0]", "network.allow[1]", "network.limits.bytes", "network.mode"]);
    expect(stage.boundary.store.get(sandbox.id)?.policy).toMatchObject({
      mode: "enforce",
      rules: [{ host: "api.example.com", ports: [443] }],
      limits: { bytes: 1 << 20 },
    });
  });

  it("changes nothing in a dry run, which says what would change and, where the boundary answers, what would be closed", async () => {
    await using stage = await openStage();
    const { sandbox } = await stage.engine.create(OWNER, { profile: "net" }, {});
    const dry = await stage.engine.network.update(OWNER, sandbox.id, { allow: [], dry_run: true });
    expect(dry).toMatchObject({ dry_run: true, closed: 0, network: { revision: 1, rules: [] } });
    expect(dry.removed).toHaveLength(2);
    Object.assign(stage.boundary.store.get(sandbox.id) ?? {}, { open: 2 });
    expect((await stage.engine.network.update(OWNER, sandbox.id, { allow: [], dry_run: true })).closed).toBe(2);
    stage.boundary.faults.set("review", new SandboxerError("backend_unavailable", "it is being started"));
    expect((await stage.engine.network.update(OWNER, sandbox.id, { allow: [], dry_run: true })).closed).toBeNull();
    expect(stage.boundary.calls.some((call) => call.startsWith("update"))).toBe(false);
    expect((await stage.engine.network.get(OWNER, sandbox.id)).rules).toHaveLength(2);
  });

  it("refuses a change without a list, so that a forgotten one neither opens nor closes anything", async () => {
    await using stage = await openStage();
    const { sandbox } = await stage.engine.create(OWNER, { profile: "net" }, {});
    for (const wrong of [{}, { allow: null }, { limits: {} }])
      await expect(stage.engine.network.update(OWNER, sandbox.id, wrong as never)).rejects.toMatchObject({ code: "invalid_request" });
    expect((await stage.engine.network.get(OWNER, sandbox.id)).revision).toBe(1);
  });

  it("is refused for what has ended, was made without egress, or belongs to another tenant", async () => {
    await using stage = await openStage();
    const { sandbox: plain } = await stage.engine.create(OWNER, {}, {});
    await expect(stage.engine.network.update(OWNER, plain.id, { allow: [] })).rejects.toMatchObject({ code: "wrong_state" });
    const { sandbox } = await stage.engine.create(OWNER, { profile: "net" }, {});
    await expect(stage.engine.network.update(STRANGER, sandbox.id, { allow: [] })).rejects.toMatchObject({ code: "sandbox_not_found" });
    await stage.engine.destroy(OWNER, sandbox.id);
    await expect(stage.engine.network.update(OWNER, sandbox.id, { allow: [] })).rejects.toMatchObject({ code: "wrong_state" });
  });

  it("leaves the newest of many at once with the boundary", async () => {
    await using stage = await openStage();
    const { sandbox } = await stage.engine.create(OWNER, { profile: "net" }, {});
    const hosts = Array.from({ length: 12 }, (_, index) => `h${index}.example.org`);
    await Promise.all(hosts.map((host) => stage.engine.network.update(OWNER, sandbox.id, { allow: [{ host }] })));
    const view = await stage.engine.network.get(OWNER, sandbox.id);
    expect([view.revision, view.applied_revision]).toEqual([13, 13]);
    expect(stage.boundary.store.get(sandbox.id)?.policy.rules[0]?.host).toBe(view.rules[0]?.host);
    expect((await trail(stage.engine, sandbox.id)).filter((type) => type === "network.updated")).toHaveLength(12);
    expect((await stage.engine.events.list(ADMIN, { sandboxId: sandbox.id, limit: 100 })).data.at(-1)?.data["revision"]).toBe(13);
  });
});

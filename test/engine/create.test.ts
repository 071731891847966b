import { describe, expect, it } from "vitest";
import { newId } from "../../src/contract/index.ts";
import { ADMIN, openBench, OWNER, run, STRANGER, trail } from "./bench.ts";

describe("creating a sandbox", () => {
  it("leads from a row over the backend to ready, with the reason for the route", async () => {
    await using bench = await openBench();
    const { sandbox, replayed } = await bench.engine.create(
      OWNER,
      { profile: "python", name: "mine", metadata: { job: "7" }, resources: { memory: "4GiB" } },
      {},
    );
    expect(replayed).toBe(false);
    expect(sandbox).toMatchObject({
      state: "ready",
      tenant: "acme",
      name: "mine",
      backend: "fake",
      profile: { name: "python", version: 1 },
      narrowed: ["resources.memory"],
      idle_seconds: 1200,
    });
    expect(sandbox.resources.memory_bytes).toBe(1024 ** 3);
    expect(sandbox.route.candidates).toMatchObject([{ backend: "fake", verdict: "chosen" }]);
    expect(await trail(bench.engine, sandbox.id)).toEqual(["sandbox.provisioning", "sandbox.ready"]);
    expect((await run(bench.engine, OWNER, sandbox.id, "echo hello")).stdout).toBe("hello\n");
  });

  it.each([
    [{ profile: "pyton" }, "profile_not_found", "profile", "python"],
    [{ profile: "python@9" }, "profile_not_found", "profile", "python@1"],
    [{ routing: { only: ["fke"] } }, "invalid_request", "routing.only[0]", "fake"],
    [{ routing: { max_price_per_hour: 1 } }, "capability_unsupported", "routing.max_price_per_hour", undefined],
    [{ routing: { data_residency: "eu" } }, "capability_unsupported", "routing.data_residency", undefined],
    [{ profile: "python:warm", routing: { sort: "price" as const } }, "invalid_request", "routing.sort", undefined],
    [
      { routing: { require_capabilities: ["snapshot.disk" as const] } },
      "capability_unsupported",
      "routing.require_capabilities",
      undefined,
    ],
    [{ routing: { require_capabilities: ["image.oci" as const] } }, "capability_unsupported", "routing.require_capabilities", undefined],
    [{ isolation_level: { min: "microvm" as const } }, "isolation_unavailable", "isolation_level.min", undefined],
    [{ ttl: -5 }, "invalid_request", "ttl", undefined],
  ])("refuses %j by name, and nothing is created", async (request, code, path, nearest) => {
    await using bench = await openBench();
    const issue = nearest === undefined ? { path } : { path, nearest };
    await expect(bench.engine.create(OWNER, request, {})).rejects.toMatchObject({
      code,
      details: { issues: expect.arrayContaining([expect.objectContaining(issue)]) as unknown },
    });
    expect((await bench.engine.list(ADMIN, { limit: 10, allTenants: true })).data).toEqual([]);
    expect(bench.control().ids()).toEqual([]);
  });

  it.each([
    [{ network: { allow: [{ host: "pypi.org" }] } }, "network.allow[0]"],
    [{ network: { allow: [{ cidr: "10.0.0.0/8" }] } }, "network.allow[0]"],
    [{ secrets: [{ name: "T", source: { env: "T" }, inject: { type: "bearer", hosts: ["h"] } }] }, "secrets"],
    [{ image: "oci:debian:12" }, "image"],
    [{ persistence: "checkpoint" }, "persistence"],
    [{ workspace: { access: "rw", path: "/srv" } }, "workspace.access"],
    [{ pool: { warm: 1 } }, "pool.warm"],
    [{ lifetime: { on_expire: "checkpoint" } }, "lifetime.on_expire"],
    [{ resources: { gpu: "a100" } }, "resources.gpu"],
  ])("refuses a profile with %j, naming the field", async (fields, path) => {
    await using bench = await openBench();
    await bench.engine.profiles.apply(OWNER, { kind: "profile", name: "wide", version: 1, ...fields });
    await expect(bench.engine.create(OWNER, { profile: "wide" }, {})).rejects.toMatchObject({
      code: "capability_unsupported",
      details: { issues: [expect.objectContaining({ path })] },
    });
    expect(bench.control().ids()).toEqual([]);
  });

  it("refuses a profile on what is no snapshot's id, naming the field, and one that is not there", async () => {
    await using bench = await openBench();
    for (const [version, id] of [
      [1, "x"],
      [2, newId("snapshot")],
    ] as const)
      await bench.engine.profiles.apply(OWNER, { kind: "profile", name: "on", version, image: `snapshot:${id}` });
    await expect(bench.engine.create(OWNER, { profile: "on@1" }, {})).rejects.toMatchObject({
      code: "invalid_request",
      details: { issues: [expect.objectContaining({ path: "image" })] },
    });
    await expect(bench.engine.create(OWNER, { profile: "on@2" }, {})).rejects.toMatchObject({ code: "not_found" });
    expect(bench.control().ids()).toEqual([]);
  });

  it("takes an empty list of network rules as none", async () => {
    await using bench = await openBench();
    await bench.engine.profiles.apply(OWNER, { kind: "profile", name: "shut", version: 1, network: { default: "deny", allow: [] } });
    expect((await bench.engine.create(OWNER, { profile: "shut" }, {})).sandbox.state).toBe("ready");
  });

  it("lets exactly as many through as the limits say, however many ask at once", async () => {
    await using bench = await openBench({
      config: { limits: { max_sandboxes: 7, max_sandboxes_per_tenant: 5 } },
      fakes: { fake: { latency_ms: 5 } },
    });
    const all = await Promise.allSettled(Array.from({ length: 100 }, () => bench.engine.create(OWNER, {}, {})));
    expect(all.filter(({ status }) => status === "fulfilled").length).toBe(5);
    for (const one of all) if (one.status === "rejected") expect(one.reason).toMatchObject({ code: "quota_exceeded" });
    const others = await Promise.allSettled(Array.from({ length: 10 }, () => bench.engine.create(STRANGER, {}, {})));
    expect(others.filter(({ status }) => status === "fulfilled").length).toBe(2);
    expect(bench.control().ids().length).toBe(7);
  });

  it("runs the profile's setup commands before it is ready", async () => {
    await using bench = await openBench();
    await bench.engine.profiles.apply(OWNER, { kind: "profile", name: "set", version: 1, setup: ["echo one > made", "cat made"] });
    const { sandbox } = await bench.engine.create(OWNER, { profile: "set" }, {});
    expect((await run(bench.engine, OWNER, sandbox.id, "cat made")).stdout).toBe("one\n");
  });

  it("fails with the output of a setup command that fails, and leaves nothing", async () => {
    await using bench = await openBench();
    await bench.engine.profiles.apply(OWNER, { kind: "profile", name: "bad", version: 1, setup: ["true", "echo went wrong; exit 3"] });
    await expect(bench.engine.create(OWNER, { profile: "bad" }, {})).rejects.toMatchObject({
      code: "setup_failed",
      message: expect.stringMatching(/setup\[1\].*exited with 3[^]*went wrong/) as string,
    });
    expect(bench.control().ids()).toEqual([]);
    expect((await bench.engine.list(OWNER, { limit: 10 })).data).toMatchObject([{ state: "failed", error: { code: "setup_failed" } }]);
  });

  it("ends a create that is not ready in time, or whose caller went away, and leaves nothing", async () => {
    await using bench = await openBench({ fakes: { fake: { latency_ms: { create: 60_000 } } } });
    await expect(bench.engine.create(OWNER, { ready_timeout: "50ms" }, {})).rejects.toMatchObject({ code: "timeout" });
    await expect(bench.engine.create(OWNER, {}, { signal: AbortSignal.timeout(50) })).rejects.toMatchObject({
      code: expect.stringMatching(/canceled|timeout/) as string,
    });
    expect(bench.control().ids()).toEqual([]);
    expect((await bench.engine.list(OWNER, { limit: 10 })).data.map(({ state }) => state)).toEqual(["failed", "failed"]);
  });
});

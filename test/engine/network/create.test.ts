import { describe, expect, it } from "vitest";
import { SandboxerError } from "../../../src/contract/index.ts";
import { findNetwork, findSandbox } from "../../../src/ledger/index.ts";
import { OWNER } from "../bench.ts";
import { openStage } from "./stage.ts";

describe("making a sandbox with egress", () => {
  it("writes the rows, prepares, creates, attaches, and only then is ready", async () => {
    await using stage = await openStage();
    const seen: string[] = [];
    stage.boundary.before = async (call, id) => {
      const row = id === "" ? undefined : await findSandbox(stage.ledger.db, id);
      const network = id === "" ? undefined : await findNetwork(stage.ledger.db, id);
      seen.push(`${call} ${row?.state ?? "-"} ${network?.attached ?? "-"}`);
    };
    const { sandbox } = await stage.engine.create(OWNER, { profile: "net" }, {});
    expect(seen).toEqual(["prepare provisioning 0", "attach provisioning 0"]);
    expect(sandbox.state).toBe("ready");
    const held = stage.boundary.store.get(sandbox.id);
    expect(held?.namespace).toBe(`/nonexistent/${sandbox.id}`);
    expect(held?.policy.rules.map(({ id, host, ports }) => [id, host, ports])).toEqual([
      ["allow[0]", "api.example.com", [443]],
      ["allow[1]", "*.example.org", [443, 8443]],
    ]);
    expect(await stage.engine.network.get(OWNER, sandbox.id)).toMatchObject({
      state: "attached",
      revision: 1,
      applied_revision: 1,
      problem: null,
    });
  });

  it("touches no boundary for a profile that allows nothing", async () => {
    await using stage = await openStage();
    const { sandbox } = await stage.engine.create(OWNER, {}, {});
    await stage.engine.sweep({ adopt: true });
    await stage.engine.destroy(OWNER, sandbox.id);
    expect(stage.boundary.calls).toEqual([]);
    expect(await stage.engine.network.get(OWNER, sandbox.id)).toMatchObject({ state: "none", rules: [] });
  });

  it.each(["prepare", "attach"] as const)("fails and leaves nothing where the boundary cannot %s", async (call) => {
    await using stage = await openStage();
    stage.boundary.faults.set(call, new SandboxerError("isolation_unavailable", "the proof from inside failed"));
    await expect(stage.engine.create(OWNER, { profile: "net" }, {})).rejects.toMatchObject({ code: "isolation_unavailable" });
    expect(stage.boundary.store.size).toBe(0);
    const [row] = (await stage.engine.list(OWNER, { limit: 1 })).data;
    expect(row).toMatchObject({ state: "failed", error: { code: "isolation_unavailable" } });
    expect((await findNetwork(stage.ledger.db, row?.id ?? ""))?.released_at).not.toBeNull();
    expect((await stage.engine.sweep()).orphans_removed).toEqual([]);
  });

  it("gives the next backend a session of a new generation after a failed one", async () => {
    await using stage = await openStage({ fakes: { one: { faults: [{ on: "create", kind: "fail" }] }, two: {} } });
    const { sandbox } = await stage.engine.create(OWNER, { profile: "net" }, {});
    expect(sandbox).toMatchObject({ backend: "two", generation: 2 });
    expect(stage.boundary.store.get(sandbox.id)?.session.generation).toBe(2);
    expect(stage.boundary.calls.filter((one) => !one.startsWith("traffic") && one !== "verdicts")).toEqual(
      ["prepare", "remove", "prepare", "attach"].map((call) => `${call} ${sandbox.id}`),
    );
  });

  it("forgets the session when the sandbox is destroyed, and takes what it still had to tell", async () => {
    await using stage = await openStage();
    const { sandbox } = await stage.engine.create(OWNER, { profile: "net" }, {});
    stage.boundary.decide(sandbox.id, { host: "evil.example" });
    Object.assign(stage.boundary.store.get(sandbox.id) ?? {}, { bytesUp: 700, bytesDown: 9000 });
    await stage.engine.destroy(OWNER, sandbox.id);
    expect(stage.boundary.store.size).toBe(0);
    expect((await stage.engine.network.log(OWNER, sandbox.id, { limit: 10 })).data).toMatchObject([
      { host: "evil.example", verdict: "deny" },
    ]);
    const usage = await stage.ledger.db.selectFrom("usage").selectAll().where("sandbox_id", "=", sandbox.id).executeTakeFirstOrThrow();
    expect([usage.egress_bytes_up, usage.egress_bytes_down]).toEqual([700, 9000]);
    expect(await stage.engine.network.get(OWNER, sandbox.id)).toMatchObject({
      state: "ended",
      traffic: { bytes_up: 700, bytes_down: 9000, open: 0 },
    });
  });

  it("ends a sandbox whose session cannot be removed, and the sweep removes it later", async () => {
    await using stage = await openStage();
    const { sandbox } = await stage.engine.create(OWNER, { profile: "net" }, {});
    stage.boundary.faults.set("remove", new SandboxerError("backend_unavailable", "it does not answer"));
    expect((await stage.engine.destroy(OWNER, sandbox.id)).state).toBe("terminated");
    expect(stage.boundary.store.size).toBe(1);
    stage.boundary.faults.clear();
    await stage.engine.sweep();
    expect(stage.boundary.store.size).toBe(0);
    expect((await findNetwork(stage.ledger.db, sandbox.id))?.released_at).not.toBeNull();
  });

  it("narrows the profile by the request and the operator's floor, and names what was", async () => {
    const floor = { network: { allow: [{ host: "*.example.com", ports: [443] }], limits: { connections: 8 } } };
    await using stage = await openStage({ config: { floor } });
    const { sandbox } = await stage.engine.create(OWNER, { profile: "net" }, {});
    expect(sandbox.narrowed).toEqual(["network.allow[1]"]);
    expect(await stage.engine.network.get(OWNER, sandbox.id)).toMatchObject({
      rules: [{ host: "api.example.com" }],
      limits: { connections: 8 },
    });

    const asked = { allow: [{ host: "api.example.com", methods: ["GET"], tls: "inspect" as const }, { host: "other.test" }] };
    const { sandbox: narrow } = await stage.engine.create(OWNER, { profile: "net", network: asked }, {});
    expect(narrow.narrowed).toEqual(["network.allow[1]"]);
    expect(stage.boundary.store.get(narrow.id)?.policy.rules).toMatchObject([
      { host: "api.example.com", methods: ["GET"], tls: "inspect" },
    ]);
  });

  it("lets nothing out for an empty list in the request, and keeps the profile as what may be asked for later", async () => {
    await using stage = await openStage();
    const { sandbox } = await stage.engine.create(OWNER, { profile: "net", network: { allow: [] } }, {});
    const view = await stage.engine.network.get(OWNER, sandbox.id);
    expect(view).toMatchObject({ state: "attached", rules: [] });
    expect(view.within.map(({ host }) => host)).toEqual(["api.example.com", "*.example.org"]);
  });

  it.each([
    ["null for a list", { allow: null }, "network.allow"],
    ["a list that is none", { allow: "api.example.com" }, "network.allow"],
    ["a rule with neither host nor cidr", { allow: [{ ports: [443] }] }, "network.allow[0]"],
    ["a name that is none", { allow: [{ host: "evil\0.example.com" }] }, "network.allow[0].host"],
    ["an unknown key", { alow: [] }, "network"],
  ])("refuses %s by name", async (_what, network, path) => {
    await using stage = await openStage();
    const thrown = await stage.engine.create(OWNER, { profile: "net", network: network as never }, {}).catch((error: unknown) => error);
    expect(thrown).toMatchObject({ code: "invalid_request" });
    expect((thrown as SandboxerError).details.issues?.[0]?.path).toContain(path);
    expect(stage.boundary.calls).toEqual([]);
  });

  it("refuses a secret whose host no rule inspects, and says what to write", async () => {
    await using stage = await openStage();
    const secret = { name: "TOKEN", source: { env: "TOKEN" }, inject: { type: "bearer", hosts: ["api.example.com"] } };
    const profile = { kind: "profile", name: "leaky", version: 1, network: { allow: [{ host: "api.example.com" }] }, secrets: [secret] };
    await stage.engine.profiles.apply(OWNER, profile);
    await expect(stage.engine.create(OWNER, { profile: "leaky" }, {})).rejects.toMatchObject({
      code: "invalid_request",
      message: expect.stringContaining('{ host: "api.example.com", ports: [443], tls: inspect }'),
      details: { issues: [{ path: "secrets[0].inject.hosts[0]" }] },
    });
  });

  it("refuses a profile with rules by its field where the backend has no network", async () => {
    const { openBench } = await import("../bench.ts");
    await using bench = await openBench();
    await bench.engine.profiles.apply(OWNER, {
      kind: "profile",
      name: "net",
      version: 1,
      network: { allow: [{ host: "api.example.com" }] },
    });
    await expect(bench.engine.create(OWNER, { profile: "net" }, {})).rejects.toMatchObject({
      code: "capability_unsupported",
      message: expect.stringContaining("network.allow[0]: needs net.allow_domain"),
    });
  });
});

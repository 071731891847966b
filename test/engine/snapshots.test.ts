import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { LOCAL_OPERATOR, type Principal, type Sandbox } from "../../src/contract/index.ts";
import { openLedger, snapshotsAt } from "../../src/ledger/index.ts";
import { type Local, openLocal, OWNER } from "../support/local-engine.ts";
import { CONTAINER_RUNTIMES, workingRuntimes } from "../support/runtimes.ts";

const [runtime] = (await workingRuntimes(...CONTAINER_RUNTIMES)).map((one) => one.runtime);
const STRANGER: Principal = { tenant: "other", key_id: null, scopes: ["read", "write"] };

describe.skipIf(runtime === undefined)("snapshots", () => {
  let local: Local;
  beforeAll(async () => {
    local = await openLocal("snapshots", { runtime: runtime ?? "" });
    for (const [version, network] of [[1, { allow: [{ host: "a.test" }] }], [2, {}]] as const)
      await local.engine.profiles.apply(OWNER, { kind: "profile", name: "kept", version, setup: ["echo once >>setup"], env: { WHO: "me" }, network });
  });
  afterAll(async () => local[Symbol.asyncDispose]());

  const write = async (sandbox: Sandbox, text: string) => local.sh(sandbox.id, `echo ${text} >>file`);
  const read = async (sandbox: Sandbox) => (await local.sh(sandbox.id, "cat file")).stdout;

  test("say what they preserve, outlive their source, and are their tenant's alone", async () => {
    const source = await local.create({ profile: "kept@2" });
    await write(source, "one");
    const info = await local.engine.snapshots.create(OWNER, source.id, { name: "first" });
    expect(info).toMatchObject({ state: "ready", name: "first", parent: null, image: "host", sandbox_id: source.id, profile: "kept@2", preserves: ["disk"], side_effects: ["freezes_source"], expires_at: null });
    await write(source, "after");
    await local.engine.destroy(OWNER, source.id);
    const restored = await local.create({ snapshot: info.id });
    expect(restored).toMatchObject({ snapshot: info.id, profile: { name: "kept", version: 2 } });
    // Its setup is behind it.
    expect((await local.sh(restored.id, "cat file setup; echo $WHO")).stdout).toBe("one\nonce\nme\n");
    for (const attempt of [
      () => local.engine.snapshots.get(STRANGER, info.id),
      () => local.engine.snapshots.remove(STRANGER, info.id),
      () => local.engine.snapshots.export(STRANGER, info.id),
      () => local.create({ snapshot: info.id }, STRANGER),
    ])
      await expect(attempt()).rejects.toMatchObject({ code: "not_found" });
    expect(await local.engine.snapshots.list(STRANGER)).toEqual([]);
    await expect(local.engine.snapshots.create(OWNER, restored.id, { kind: "memory" })).rejects.toMatchObject({ code: "capability_unsupported" });
    await expect(local.engine.snapshots.remove(OWNER, info.id)).rejects.toMatchObject({ code: "conflict" });
    expect(await local.engine.snapshots.get(OWNER, info.id)).toMatchObject({ state: "ready" });
    await local.engine.destroy(OWNER, restored.id);
    await local.engine.snapshots.remove(OWNER, info.id);
    await expect(local.create({ snapshot: info.id })).rejects.toMatchObject({ code: "not_found" });
  });

  test("case 80: forks go on by themselves, with ids, host names and machines of their own", async () => {
    const source = await local.create({ name: "source" });
    await write(source, "before");
    const { sandboxes, snapshot } = await local.engine.fork(OWNER, source.id, { count: 3 });
    expect(sandboxes).toHaveLength(3);
    await Promise.all([source, ...sandboxes].map((one, at) => write(one, String(at))));
    expect(await Promise.all([source, ...sandboxes].map(read))).toEqual(["before\n0\n", "before\n1\n", "before\n2\n", "before\n3\n"]);
    const identities = await Promise.all(sandboxes.map(async ({ id }) => (await local.sh(id, "hostname; head -c 16 /dev/urandom | sha256sum")).stdout));
    expect(identities.map((text) => text.split("\n")[0])).toEqual(sandboxes.map(({ id }) => id));
    expect(new Set(identities.map((text) => createHash("sha256").update(text.split("\n")[1] ?? "").digest("hex"))).size).toBe(3);
    const { nodes } = await local.engine.snapshots.tree(OWNER);
    expect(nodes.filter(({ parent }) => parent === snapshot.id).map(({ id }) => id).sort()).toEqual(sandboxes.map(({ id }) => id).sort());
    expect(nodes.find(({ id }) => id === snapshot.id)).toMatchObject({ parent: source.id });
    // What they have in common goes with the last of them.
    const [last, ...others] = sandboxes;
    for (const { id } of [source, ...others]) await local.engine.destroy(OWNER, id);
    expect((await local.engine.sweep()).errors).toEqual([]);
    expect(await local.engine.snapshots.list(OWNER)).toHaveLength(1);
    await local.engine.destroy(OWNER, last?.id ?? "");
    expect((await local.engine.sweep()).errors).toEqual([]);
    expect(await local.engine.snapshots.list(OWNER)).toEqual([]);
  });

  test("case 81: what goes on has the rules that hold now, not those of before", async () => {
    const source = await local.create({ profile: "kept@1" });
    const info = await local.engine.snapshots.create(OWNER, source.id, {});
    await local.engine.destroy(OWNER, source.id);
    const restored = await local.create({ snapshot: info.id, profile: "kept@2" });
    expect(await local.engine.network.get(OWNER, restored.id)).toMatchObject({ rules: [] });
    await local.engine.policy.apply(LOCAL_OPERATOR, { files: [{ name: "none.cedar", text: '@id("none") forbid(principal, action == Action::"sandbox.create", resource) when { context.image like "snapshot:*" }; @id("all") permit(principal, action, resource);' }] });
    await expect(local.create({ snapshot: info.id })).rejects.toMatchObject({ code: "policy_denied" });
    await expect(local.engine.fork(OWNER, restored.id, {})).rejects.toMatchObject({ code: "policy_denied" });
    await local.engine.policy.apply(LOCAL_OPERATOR, { files: [] });
    await local.engine.destroy(OWNER, restored.id);
    await local.engine.snapshots.remove(OWNER, info.id);
  });

  test("go at the end of their time, and their rows with them", async () => {
    const source = await local.create();
    const info = await local.engine.snapshots.create(OWNER, source.id, { ttl: 0.001 });
    expect((await local.engine.sweep()).errors).toEqual([]);
    await expect(local.engine.snapshots.get(OWNER, info.id)).rejects.toMatchObject({ code: "not_found" });
    const ledger = openLedger(local.dataDir);
    expect((await snapshotsAt(ledger.db, "local", null)).map(({ id }) => id)).not.toContain(info.id);
    await ledger.close();
    await local.engine.destroy(OWNER, source.id);
  });
}); // prettier-ignore

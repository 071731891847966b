import { Sandbox as E2bSandbox } from "e2b";
import { describe, expect, it } from "vitest";
import { LOCAL_OPERATOR } from "../../src/contract/index.ts";
import type { Engine } from "../../src/engine/engine.ts";
import { SandBoxer } from "../../src/sdk/index.ts";
import { openE2bDoor } from "./e2b/e2b-door.ts";
import { openPreview } from "./preview/preview-door.ts";
import { openRealDoor } from "./real-door.ts";

const ALL = '@id("all") permit (principal, action, resource);\n';

async function apply(engine: Engine, text: string): Promise<void> {
  await engine.policy.apply(LOCAL_OPERATOR, { files: [{ name: "a.cedar", text: ALL + text }] });
}

describe("a policy at the doors that are not our API", () => {
  it("keeps visitors of published ports out, and lets those in again whom it permits", async () => {
    const door = await openPreview("fake");
    const sandbox = await door.sandbox({
      ports: [
        { port: 3000, visibility: "public" },
        { port: 3001, visibility: "private" },
      ],
    });
    await door.serve(sandbox, 3000, 3001);
    const visit = (port: number, headers = {}) => door.visit(sandbox, port, "/index", { headers });
    expect((await visit(3000)).body).toBe("hello\n");
    const { engine } = door.opened;
    await apply(engine, '@id("no-public") forbid (principal is Visitor, action, resource) when { principal.visibility == "public" };');
    expect([(await visit(3000)).status, (await visit(3000)).body.includes("hello")]).toEqual([403, false]);
    expect((await visit(3001, { "x-sandboxer-key": door.key })).body).toBe("hello\n");
    await apply(engine, '@id("no-3001") forbid (principal, action == Action::"port.visit", resource) when { context.port == 3001 };');
    expect((await visit(3000)).body).toBe("hello\n");
    expect((await visit(3001, { "x-sandboxer-key": door.key })).status).toBe(403);
    const denied = (await engine.events.list(LOCAL_OPERATOR, { limit: 1000 })).data.filter(({ type }) => type === "policy.denied");
    expect(denied.map(({ data }) => data["rule"])).toEqual(expect.arrayContaining(["no-public", "no-3001"]));
  });

  it("answers a private port for a key of another project as what is not published", async () => {
    const door = await openPreview("fake");
    const { engine } = door.opened;
    const keyOf = async (project: string) => {
      await engine.projects.create(LOCAL_OPERATOR, { name: project, tenant: "acme" });
      return (await engine.keys.create(LOCAL_OPERATOR, { name: project, tenant: "acme", project })).secret;
    };
    const [web, ops] = [await keyOf("web"), await keyOf("ops")];
    await door.sandbox({ ports: [{ port: 3000, visibility: "private" }] });
    const profile = (await engine.profiles.list({ ...LOCAL_OPERATOR, tenant: "acme" })).find(({ shipped }) => !shipped)?.name ?? "";
    const who = await engine.keys.authenticate(web);
    if (who === undefined) throw new Error("the key does not work");
    const { sandbox } = await engine.create(who, { profile }, {});
    await door.serve(sandbox, 3000);
    const visit = (key: string) => door.visit(sandbox, 3000, "/index", { headers: { "x-sandboxer-key": key } });
    expect((await visit(web)).body).toBe("hello\n");
    expect((await visit(ops)).status).toBe(404);
    expect((await visit(door.key)).body, "the whole tenant's").toBe("hello\n");
  });

  it("denies a create by the E2B SDK, and tells it why", async () => {
    const door = await openE2bDoor();
    const connection = await door.connection();
    await apply(
      door.opened.engine,
      '@id("short") forbid (principal, action == Action::"sandbox.create", resource) when { context.ttl > 60 };',
    );
    await expect(E2bSandbox.create({ ...connection, timeoutMs: 120_000 })).rejects.toThrow(/short/);
    const sandbox = await E2bSandbox.create({ ...connection, timeoutMs: 50_000 });
    expect(await sandbox.kill()).toBe(true);
  });

  it("is asked of the E2B SDK's commands as of whoever made the sandbox: its role, labels and project", async () => {
    const door = await openE2bDoor();
    const { engine } = door.opened;
    const { secret } = await engine.keys.create(LOCAL_OPERATOR, { name: "ci", tenant: "acme", role: "ci", scopes: ["read", "write"] });
    const connection = { ...(await door.connection()), apiKey: secret.replace("sbx_", "e2b_") };
    const sandbox = await E2bSandbox.create(connection);
    expect((await sandbox.commands.run("echo hello")).stdout).toBe("hello\n");
    await apply(
      engine,
      '@id("ci-runs-nothing") forbid (principal in Role::"ci", action in [Action::"exec.run", Action::"process.start"], resource);',
    );
    await expect(sandbox.commands.run("echo hello")).rejects.toThrow(/ci-runs-nothing/);
    await sandbox.files.write("a.txt", "x");
    await engine.policy.apply(LOCAL_OPERATOR, { files: [] });
    expect((await sandbox.commands.run("echo hello")).stdout).toBe("hello\n");
  });

  it("is told to the SDK with the rule, and managed by it", async () => {
    const door = await openRealDoor();
    const { secret: apiKey } = await door.key("default", ["admin"]);
    const client = new SandBoxer({ url: door.url, apiKey });
    const files = [{ name: "a.cedar", text: `${ALL}@id("none") forbid (principal, action == Action::"sandbox.create", resource);` }];
    expect((await client.policy.check(files)).rules.map(({ id }) => id)).toEqual(["all", "none"]);
    expect(
      await client.policy.test(files, [{ name: "c", request: { action: "sandbox.create" }, expect: "deny", rule: "none" }]),
    ).toMatchObject({ failed: 0 });
    expect(await client.policy.apply({ files, comment: "why", expected_version: 0 })).toMatchObject({ version: 1, changed: true });
    await expect(client.create()).rejects.toMatchObject({ code: "policy_denied", details: { rule: "none" } });
    expect(await client.policy.explain({ action: "sandbox.create" })).toMatchObject({ decision: "deny", rule: "none" });
    expect(await client.policy.show()).toMatchObject({ version: 1, files, comment: "why", in_force: true });
    expect(await client.policy.schema()).toContain('action "sandbox.create"');
    expect(await client.policy.rollback(0)).toMatchObject({ version: 2 });
    expect((await client.policy.history()).map(({ version }) => version)).toEqual([2, 1]);
    await using sandbox = await client.create();
    expect(sandbox.id).toMatch(/^sb/);
  });

  it("leaves tenants, projects, quotas, rotation and labels to the SDK of an admin", async () => {
    const door = await openRealDoor();
    const { secret: apiKey } = await door.key("default", ["admin"]);
    const client = new SandBoxer({ url: door.url, apiKey });
    expect(await client.tenants.create({ name: "acme", description: "of Acme" })).toMatchObject({ name: "acme", keys: 0, sandboxes: 0 });
    expect(await client.projects.create({ name: "web", tenant: "acme" })).toMatchObject({ tenant: "acme", name: "web" });
    const key = await client.keys.create({
      name: "k",
      tenant: "acme",
      project: "web",
      role: "agent",
      labels: ["reviewed"],
      expires_in: "1h",
    });
    const agent = new SandBoxer({ url: door.url, apiKey: key.secret, retries: 0 } as never);
    expect(await client.quotas.set({ subject: "project:acme/web", concurrent: 1, creates_per_minute: 5 })).toMatchObject({
      used: { concurrent: 0 },
    });
    const sandbox = await agent.create();
    const refused = await fetch(`${door.url}/v1/sandboxes`, {
      method: "POST",
      headers: { authorization: `Bearer ${key.secret}`, "content-type": "application/json" },
      body: "{}",
    });
    expect([refused.status, ((await refused.json()) as { error: { code: string } }).error.code]).toEqual([429, "quota_exceeded"]);
    expect((await client.quotas.list())[0]?.used).toEqual({ concurrent: 1, creates_per_minute: 1 });
    const rotated = await client.keys.rotate(key.id, { overlap: 0 });
    await expect(agent.connect(sandbox.id)).rejects.toMatchObject({ code: "unauthorized" });
    expect((await new SandBoxer({ url: door.url, apiKey: rotated.secret }).connect(sandbox.id)).id).toBe(sandbox.id);
    expect((await client.tenants.suspend("acme")).suspended_at).not.toBeNull();
    await expect(new SandBoxer({ url: door.url, apiKey: rotated.secret }).connect(sandbox.id)).rejects.toMatchObject({
      code: "unauthorized",
    });
    expect((await client.tenants.resume("acme")).suspended_at).toBeNull();
    expect((await client.tenants.list()).map(({ name }) => name)).toEqual(["acme", "default"]);
    await expect(client.projects.remove("web", "acme")).rejects.toMatchObject({ code: "conflict" });
    await client.quotas.remove("project:acme/web");
    expect(await client.quotas.list()).toEqual([]);
    expect((await client.profiles.label("python", ["reviewed"])).labels).toEqual(["reviewed"]);
    expect((await client.profiles.get("python@1")).labels).toEqual(["reviewed"]);
    expect((await client.profiles.label("python@1", [])).labels).toEqual([]);
  });
});

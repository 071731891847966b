import { describe, expect, test } from "vitest";
import { openE2bDoor, SDKS } from "./e2b-door.ts";

describe.each(SDKS)("the official SDK $version", ({ Sandbox }) => {
  test("creates a sandbox, reads about it, and kills it once", async () => {
    const door = await openE2bDoor();
    const connection = await door.connection();
    const sandbox = await Sandbox.create({ ...connection, metadata: { session: "s 81/ä&=" }, envs: { A: "1" }, timeoutMs: 120_000 });
    expect(sandbox.sandboxId).toMatch(/^[a-z0-9]+$/);
    expect(sandbox.getHost(3000)).toBe(`3000-${sandbox.sandboxId}.localhost:${new URL(door.url).port}`);
    const info = await sandbox.getInfo();
    expect(info).toMatchObject({
      sandboxId: sandbox.sandboxId,
      templateId: "base",
      state: "running",
      metadata: { session: "s 81/ä&=" },
      cpuCount: 1,
      memoryMB: 512,
      allowInternetAccess: false,
      lifecycle: { onTimeout: "kill", autoResume: false },
    });
    expect(info.endAt.getTime() - info.startedAt.getTime()).toBe(120_000);
    expect(await sandbox.kill()).toBe(true);
    expect(await Sandbox.kill(sandbox.sandboxId, connection)).toBe(false);
    await expect(Sandbox.getInfo(sandbox.sandboxId, connection)).rejects.toMatchObject({ name: "SandboxNotFoundError" });
  });

  test("makes a sandbox that our own API sees as an ordinary one, and connects to one of that API", async () => {
    const door = await openE2bDoor();
    const connection = await door.connection();
    const who = { tenant: "acme", key_id: null, scopes: ["read", "write"] as const };
    const made = await Sandbox.create(connection);
    const seen = await door.opened.engine.get(who, made.sandboxId);
    expect(seen).toMatchObject({ state: "ready", profile: { name: "e2b-base", version: 1 }, tenant: "acme" });

    const { sandbox: own } = await door.opened.engine.create(who, { profile: "python", ttl: "10m", metadata: { from: "v1" } }, {});
    const connected = await Sandbox.connect(own.id, connection);
    expect(await connected.getInfo()).toMatchObject({ sandboxId: own.id, templateId: "python:1", metadata: { from: "v1" } });
    expect(await connected.kill()).toBe(true);
    expect((await door.opened.engine.get(who, own.id)).termination?.reason).toBe("user");
  });

  test("connect gives more time and never less; setTimeout does both; 0 ends it", async () => {
    const door = await openE2bDoor();
    const connection = await door.connection();
    const sandbox = await Sandbox.create({ ...connection, timeoutMs: 600_000 });
    const end = async (): Promise<number> => (await sandbox.getInfo()).endAt.getTime();
    const first = await end();
    await Sandbox.connect(sandbox.sandboxId, { ...connection, timeoutMs: 60_000 });
    expect(await end()).toBe(first);
    await Sandbox.connect(sandbox.sandboxId, { ...connection, timeoutMs: 3_600_000 });
    const longer = await end();
    expect(longer).toBeGreaterThan(first + 2_900_000);
    await sandbox.setTimeout(60_000);
    expect(await end()).toBeLessThan(longer - 3_000_000);
    await sandbox.setTimeout(0);
    await expect(sandbox.getInfo()).rejects.toMatchObject({ name: "SandboxNotFoundError" });
    await expect(sandbox.setTimeout(10_000)).rejects.toMatchObject({ name: "SandboxNotFoundError" });
    await expect(Sandbox.connect(sandbox.sandboxId, connection)).rejects.toMatchObject({ name: "SandboxNotFoundError" });
  });

  test("lists newest first, page by page, by metadata that needs escaping, by state and by order", async () => {
    const door = await openE2bDoor();
    const connection = await door.connection();
    const value = "a b+c%20&=/ä✓";
    const ids: string[] = [];
    for (let i = 0; i < 5; i++) {
      const { sandboxId } = await Sandbox.create({ ...connection, metadata: { user: i % 2 === 0 ? value : "other", n: String(i) } });
      ids.push(sandboxId);
    }
    const all = async (query: object): Promise<string[]> => {
      const paginator = Sandbox.list({ ...connection, limit: 2, ...query });
      const found: string[] = [];
      while (paginator.hasNext) {
        const page = await paginator.nextItems();
        expect(page.length).toBeLessThanOrEqual(2);
        found.push(...page.map(({ sandboxId }) => sandboxId));
      }
      return found;
    };
    expect(await all({})).toEqual(ids.toReversed());
    expect(await all({ order: "asc" })).toEqual(ids);
    expect(await all({ query: { metadata: { user: value } } })).toEqual([ids[4], ids[2], ids[0]]);
    expect(await all({ query: { metadata: { user: value, n: "2" } } })).toEqual([ids[2]]);
    expect(await all({ query: { state: ["paused"] } })).toEqual([]);
    expect(await all({ query: { state: ["running", "paused"] } })).toHaveLength(5);
    expect(await all({ query: { template: "base" } })).toHaveLength(5);
    expect(await all({ query: { template: "python" } })).toEqual([]);
    const other = await door.connection("globex");
    expect(await Sandbox.list(other).nextItems()).toEqual([]);
  });

  test("takes a template's name as a profile, with a version in either form", async () => {
    const door = await openE2bDoor();
    const connection = await door.connection();
    for (const [template, told] of [
      ["python", "python:1"],
      ["python:1", "python:1"],
      ["python@1", "python:1"],
      ["base", "base"],
    ] as const) {
      const sandbox = await Sandbox.create(template, connection);
      expect((await sandbox.getInfo()).templateId).toBe(told);
    }
    await expect(Sandbox.create("pyton", connection)).rejects.toThrow(/404.*template "pyton" not found.*nearest: "python"/);
    await expect(Sandbox.create("python", { ...connection, timeoutMs: 3_600_000 })).rejects.toThrow(
      /400.*timeout cannot be greater than 1800 seconds/,
    );
  });

  test("another tenant's sandbox is not found, and neither is what never was", async () => {
    const door = await openE2bDoor();
    const { sandboxId } = await Sandbox.create(await door.connection());
    const other = await door.connection("globex");
    for (const id of [sandboxId, "sb0000000000000000000000", "nonsense"]) {
      expect(await Sandbox.kill(id, other)).toBe(false);
      await expect(Sandbox.connect(id, other)).rejects.toMatchObject({ name: "SandboxNotFoundError" });
      await expect(Sandbox.getInfo(id, other)).rejects.toMatchObject({ name: "SandboxNotFoundError" });
      await expect(Sandbox.setTimeout(id, 1000, other)).rejects.toMatchObject({ name: "SandboxNotFoundError" });
    }
  });

  test("a wrong key, a key without the scope and no key are told apart from all else", async () => {
    const door = await openE2bDoor();
    const connection = await door.connection("acme", ["read"]);
    expect(await Sandbox.list(connection).nextItems()).toEqual([]);
    await expect(Sandbox.create(connection)).rejects.toThrow(/403.*scope "write"/);
    const unknown = { ...connection, apiKey: `e2b_${"0".repeat(40)}` };
    await expect(Sandbox.create(unknown)).rejects.toMatchObject({ name: "AuthenticationError" });
    await expect(Sandbox.create({ ...unknown, apiKey: "e2b_x" })).rejects.toMatchObject({ name: "AuthenticationError" });
  });

  test("what this version cannot do is a 400 that names it, and makes nothing", async () => {
    const door = await openE2bDoor();
    const connection = await door.connection();
    const refusals = [
      [{ network: { allowOut: ["1.1.1.1"] } }, /400.*network\.allowOut/],
      [{ network: { rules: { "api.test": [{ transform: { headers: { a: "b" } } }] } } }, /400.*network\.rules/],
      [{ volumeMounts: { "/data": "v" } }, /400.*volumeMounts/],
      [{ mcp: { browserbase: { apiKey: "k" } }, template: "base" }, /400.*mcp/],
      [{ metadata: { "e2b/traffic": "public" } }, /400.*metadata/],
      [{ metadata: { "": "x" } }, /400.*metadata/],
    ] as const;
    for (const [wish, message] of refusals) {
      await expect(Sandbox.create({ ...connection, ...(wish as object) })).rejects.toThrow(message);
    }
    expect(await Sandbox.list(connection).nextItems()).toEqual([]);
    const sandbox = await Sandbox.create({ ...connection, network: { denyOut: ["0.0.0.0/0"] } });
    await expect(sandbox.createSnapshot()).rejects.toThrow(/400.*snapshots/);
    await expect(Sandbox.fork(sandbox.sandboxId, connection)).rejects.toThrow(/400.*fork/);
    await expect(sandbox.updateNetwork({ allowOut: ["1.1.1.1"] })).rejects.toThrow(/400.*allowOut/);
    await sandbox.updateNetwork({ denyOut: ["10.0.0.0/8"], allowInternetAccess: false });
    expect(await Sandbox.listSnapshots(connection).nextItems()).toEqual([]);
    expect(await Sandbox.deleteSnapshot("none", connection)).toBe(false);
  });

  test("pauses, is not running then, and connect resumes it with the timeout of that call", async () => {
    const door = await openE2bDoor();
    const connection = await door.connection();
    const sandbox = await Sandbox.create({ ...connection, timeoutMs: 60_000 });
    await sandbox.files.write("kept", "kept");
    for (const more of [{}, { keepMemory: false }]) {
      expect(await sandbox.pause(more as object)).toBe(true);
      expect(await sandbox.pause()).toBe(false);
      expect(await sandbox.isRunning()).toBe(false);
      expect(await Sandbox.getInfo(sandbox.sandboxId, connection)).toMatchObject({ state: "paused" });
      expect(await Sandbox.list({ ...connection, query: { state: ["paused"] } }).nextItems()).toHaveLength(1);
      await expect(sandbox.commands.run("true")).rejects.toThrow();
      const again = await Sandbox.connect(sandbox.sandboxId, { ...connection, timeoutMs: 120_000 });
      const { endAt, state } = await again.getInfo();
      expect(state).toBe("running");
      expect(Math.round((endAt.getTime() - Date.now()) / 60_000)).toBe(2);
      expect(await again.files.read("kept")).toBe("kept");
    }
    expect(await sandbox.kill()).toBe(true);
    await expect(sandbox.pause()).rejects.toMatchObject({ name: "SandboxNotFoundError" });
  });

  test("onTimeout: pause is what its clock does, autoResume what wakes it; a 400 where no backend can", async () => {
    const door = await openE2bDoor();
    const connection = await door.connection();
    const sandbox = await Sandbox.create({ ...connection, lifecycle: { onTimeout: "pause", autoResume: true } });
    expect(await sandbox.getInfo()).toMatchObject({ lifecycle: { onTimeout: "pause", autoResume: true } });
    await sandbox.pause();
    expect((await sandbox.commands.run("echo up")).stdout).toBe("up\n");
    expect(await sandbox.getInfo()).toMatchObject({ state: "running" });
    const without = { name: "memory", provider: "fake", options: { isolation: "container", without: ["pause.memory"] } };
    const other = await openE2bDoor({ backends: [without] });
    const refused = Sandbox.create({ ...(await other.connection()), lifecycle: { onTimeout: "pause" } });
    await expect(refused).rejects.toThrow(/400.*autoPause/);
    const plain = await Sandbox.create(await other.connection());
    await expect(plain.pause()).rejects.toThrow(/400.*pause\.memory/);
  });

  test("metrics say what the backend says, as one point of now", async () => {
    const door = await openE2bDoor();
    const sandbox = await Sandbox.create(await door.connection());
    const points = await sandbox.getMetrics();
    const usage = await door.opened.engine.usage({ tenant: "acme", key_id: null, scopes: ["read"] }, sandbox.sandboxId);
    if (usage.cpu_seconds === null || usage.memory_bytes === null || usage.disk_bytes === null) expect(points).toEqual([]);
    else {
      expect(points).toHaveLength(1);
      expect(points[0]).toMatchObject({ cpuCount: 1, memTotal: 512 * 1024 ** 2, diskTotal: 2 * 1024 ** 3 });
    }
    expect(await sandbox.getMetrics({ end: new Date(1000) })).toEqual([]);
  });
});

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { type Config, LOCAL_OPERATOR as OPERATOR } from "../../src/contract/index.ts";
import { openSandboxer, type Opened } from "../../src/main.ts";
import { optionsFor } from "../providers/ssh/open.ts";
import { openSshd, type Sshd, withoutSshd } from "../support/sshd.ts";

const reason = withoutSshd();
if (reason !== undefined) console.log(`not tested: hosts of the inventory: ${reason}`);
const WHO = { ...OPERATOR, tenant: "acme" };
const PROFILE = { kind: "profile", name: "helper", version: 1, isolation_level: { min: "process" } };
const AT = { profile: "helper", routing: { only: ["box1"] } };

describe.skipIf(reason !== undefined)("hosts of the inventory", { timeout: 60_000 }, () => {
  let sshd: Sshd;
  beforeAll(async () => {
    sshd = await openSshd();
  });
  afterAll(() => sshd[Symbol.asyncDispose]());

  const directory = (): string => {
    const path = mkdtempSync(join(tmpdir(), "sbx-inventory-"));
    onTestFinished(() => rmSync(path, { recursive: true, force: true }));
    return path;
  };
  const open = async (dataDir: string): Promise<Opened> => {
    const config: Config = { log_level: "silent", backends: [{ name: "fake", provider: "fake", options: { isolation: "container" } }] };
    const opened = await openSandboxer({ dataDir, config });
    onTestFinished(async () => {
      for (const { id } of (await opened.engine.list(WHO, { limit: 100 })).data) await opened.engine.destroy(WHO, id);
      await opened.close();
    });
    return opened;
  };
  const host = (more: object = {}) => ({ name: "box1", provider: "ssh" as const, options: { ...optionsFor(sshd) }, ...more });
  const say = async ({ engine }: Opened, id: string, shell: string): Promise<string> => {
    let said = "";
    for await (const event of (await engine.exec(WHO, id, { shell, stdin: { kind: "none" }, maxOutputBytes: 1e6 })).events)
      if (event.type === "stdout") said += Buffer.from(event.data).toString();
    return said;
  };

  it("become backends at every control plane of the ledger, also of those that start later, and go from all of them", async () => {
    const data = directory();
    const [a, b] = [await open(data), await open(data)];
    await a.engine.profiles.apply(WHO, PROFILE);
    expect(await a.engine.hosts.add(OPERATOR, host())).toMatchObject({ name: "box1", available: true, draining: false });
    const { sandbox } = await b.engine.create(WHO, AT, {});
    expect([sandbox.backend, sandbox.isolation?.effective, await say(b, sandbox.id, "echo there")]).toEqual(["box1", "process", "there\n"]);
    const c = await open(data);
    expect(await say(c, sandbox.id, "echo later")).toBe("later\n");
    expect((await a.engine.backends(OPERATOR)).map(({ name, price }) => [name, price?.vcpu_hour])).toContainEqual(["box1", 0]);
    expect(await c.engine.hosts.check(OPERATOR, "box1")).toMatchObject({ reachable: true, found: 1, isolation: [{ level: "process" }] });
    await expect(a.engine.hosts.remove(OPERATOR, "box1")).rejects.toMatchObject({ code: "conflict", message: expect.stringContaining(sandbox.id) as string }); // prettier-ignore
    await c.engine.destroy(WHO, sandbox.id);
    await a.engine.hosts.remove(OPERATOR, "box1");
    for (const { engine } of [a, b, c]) expect((await engine.backends(OPERATOR)).map(({ name }) => name)).toEqual(["fake"]);
    await expect(b.engine.create(WHO, AT, {})).rejects.toMatchObject({ code: "invalid_request" });
  });

  it("are given as many sandboxes as they have room for, by all control planes together, and none while they are drained", async () => {
    const data = directory();
    const [a, b] = [await open(data), await open(data)];
    await a.engine.profiles.apply(WHO, PROFILE);
    await a.engine.hosts.add(OPERATOR, host({ capacity: { sandboxes: 3, cpu: 8, memory: "1GiB" } }));
    const made = await Promise.allSettled(Array.from({ length: 8 }, (_, index) => (index % 2 ? a : b).engine.create(WHO, { ...AT, resources: { memory: "200MiB" } }, {}))); // prettier-ignore
    const refused = made.flatMap((one) => (one.status === "rejected" ? [(one.reason as { code: string }).code] : []));
    expect(refused).toHaveLength(5);
    for (const code of refused) expect(["no_backend", "backend_unavailable"]).toContain(code);
    expect((await b.engine.hosts.list(OPERATOR))[0]?.used).toEqual({ cpu: 3, memory_bytes: 600 * 1024 ** 2, sandboxes: 3 });
    const wider = await b.engine.hosts.change(OPERATOR, "box1", { capacity: { memory: "1GiB" } });
    expect([wider.capacity, wider.remaining.length]).toEqual([{ cpu: null, memory_bytes: 1024 ** 3, sandboxes: null }, 3]);
    await expect(a.engine.create(WHO, { ...AT, resources: { memory: "500MiB" } }, {})).rejects.toMatchObject({ code: "no_backend", message: expect.stringContaining("424 MiB of its 1 GiB of memory are free") as string }); // prettier-ignore
    const drained = await a.engine.hosts.change(OPERATOR, "box1", { draining: true });
    expect([drained.draining, drained.remaining.length]).toEqual([true, 3]);
    await expect(b.engine.create(WHO, AT, {})).rejects.toMatchObject({ code: "no_backend", message: expect.stringContaining("drained") as string }); // prettier-ignore
    expect(await say(b, drained.remaining[0] ?? "", "echo lives")).toBe("lives\n");
    await a.engine.hosts.change(OPERATOR, "box1", { draining: false });
    expect((await b.engine.create(WHO, { ...AT, resources: { memory: "200MiB" } }, {})).sandbox.state).toBe("ready");
  });

  it("that go away lose their sandboxes, and those come back with them", async () => {
    const opened = await open(directory());
    const { engine } = opened;
    await engine.profiles.apply(WHO, PROFILE);
    await engine.hosts.add(OPERATOR, host());
    const { sandbox } = await engine.create(WHO, AT, {});
    await sshd.stop();
    try {
      expect((await engine.sweep()).lost).toEqual([sandbox.id]);
      expect((await engine.get(WHO, sandbox.id)).state).toBe("lost");
      expect(await engine.hosts.check(OPERATOR, "box1")).toMatchObject({ reachable: false, reason: expect.stringContaining("backend_unavailable") as string, found: null }); // prettier-ignore
      await expect(engine.hosts.remove(OPERATOR, "box1")).rejects.toMatchObject({ code: "conflict" });
    } finally {
      await sshd.start();
    }
    await engine.sweep();
    expect((await engine.get(WHO, sandbox.id)).state).toBe("ready");
    expect(await say(opened, sandbox.id, "echo back")).toBe("back\n");
  });

  it("are refused with options that the provider does not take, a name that is taken, and where they lead to this machine", async () => {
    const { engine } = await open(directory());
    const add = (more: object) => engine.hosts.add(OPERATOR, host(more));
    await expect(add({ options: { reach: { form: "direct" } } })).rejects.toMatchObject({ code: "invalid_request" });
    await expect(add({ name: "fake" })).rejects.toMatchObject({ code: "conflict" });
    await expect(add({ provider: "docker", options: { host: "unix:///run/docker.sock" } })).rejects.toMatchObject({
      code: "invalid_request",
    });
    await expect(add({ provider: "local" })).rejects.toMatchObject({ code: "invalid_request" });
    await expect(engine.hosts.check(OPERATOR, "box9")).rejects.toMatchObject({ code: "not_found" });
    expect(await engine.hosts.list(OPERATOR)).toEqual([]);
  });
});

import { readdirSync, readFileSync, statSync } from "node:fs";
import type { Socket } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Boundary, EgressPolicy } from "../../../src/contract/network.ts";
import { alive, type Inside, makeInside, policyOf, readAll, root, until, World } from "./stage.ts";

describe.runIf(root)("the boundary of a data directory", () => {
  const world = new World();
  const server = world.address(2);
  const insides: Inside[] = [];
  let boundary: Boundary;
  let count = 0;
  const both = (ports: number[], over: Parameters<typeof policyOf>[1] = {}): EgressPolicy =>
    policyOf(
      [
        { host: "echo.test", ports },
        { cidr: `${server}/32`, ports },
      ],
      over,
    );
  const allow = (over: Parameters<typeof policyOf>[1] = {}): EgressPolicy => both([7000], over);

  beforeAll(async () => {
    await world.start();
    world.records.set("echo.test", [server]);
    await world.tcp(server, 7000, (socket) => socket.pipe(socket));
    boundary = await world.boundary();
  });
  afterAll(async () => {
    await world.stop();
    for (const inside of insides) inside.remove();
  });

  const open = async (policy: EgressPolicy): Promise<{ id: string; inside: Inside; dial: (port?: number) => Promise<Socket> }> => {
    const id = `sbx_life${count++}`;
    const inside = makeInside();
    insides.push(inside);
    await boundary.prepare({ id, tenant: "t", generation: 1, policy, secrets: [] });
    await boundary.attach(id, inside.path);
    const address = await world.synthetic(inside, "echo.test");
    const dial = async (port = 7000) => (await world.netns.connect(inside.path, address, port)).on("error", () => {});
    return { id, inside, dial };
  };
  const echo = async (socket: Socket, text: string): Promise<string> => {
    socket.write(text);
    let heard = "";
    for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
      heard += String(chunk);
      if (heard.length >= text.length) break;
    }
    return heard;
  };

  test("closes what a changed policy no longer allows, and lets go on what it still does", async () => {
    const { id, dial } = await open(both([7000, 7001]));
    await world.tcp(server, 7001, (socket) => socket.pipe(socket));
    const [gone, stays] = [await dial(), await dial(7001)];
    expect([await echo(gone, "one"), await echo(stays, "two")]).toEqual(["one", "two"]);
    const closed = new Promise((resolve) => gone.on("error", () => {}).once("close", resolve));
    expect(await boundary.update(id, both([7001]))).toEqual({ closed: 2 });
    await closed;
    expect(await echo(stays, "still here")).toBe("still here");
    stays.end();
    await until(async () => (await world.verdicts(boundary, id)).some(({ reason }) => reason === "policy_changed"));
    const late = await dial();
    late.write("late");
    expect(await readAll(late)).toMatch(/^broken|^$/);
    expect((await boundary.update(id, policyOf([]))).closed).toBeLessThanOrEqual(1);
  });

  test("holds a sandbox to its number of connections, and counts what is open", async () => {
    const { id, dial } = await open(allow({ limits: { connections: 2 } }));
    const [one, two] = [await dial(), await dial()];
    expect([await echo(one, "1"), await echo(two, "2")]).toEqual(["1", "2"]);
    expect(await boundary.traffic(id)).toEqual({ bytesUp: 2, bytesDown: 2, open: 2 });
    // The reset may come before the connection is even handed over.
    expect(await dial().then(readAll, (thrown: unknown) => `broken: ${String(thrown)}`)).toMatch(/^broken/);
    one.destroy();
    await until(async () => (await boundary.traffic(id))?.open === 1);
    expect(await echo(await dial(), "3")).toBe("3");
    expect((await world.verdicts(boundary, id)).map(({ reason }) => reason)).toContain("limit");
  });

  test("holds a sandbox to its bytes, over its whole life", async () => {
    const { id, dial } = await open(allow({ limits: { bytes: 10 } }));
    const socket = await dial();
    expect(await echo(socket, "1234")).toBe("1234");
    socket.write("56");
    expect(await readAll(socket)).toMatch(/^broken/);
    const more = await dial();
    more.write("more");
    expect(await readAll(more)).toMatch(/^broken|^$/);
    await until(async () => (await world.verdicts(boundary, id)).filter(({ reason }) => reason === "limit").length === 2);
    expect((await boundary.traffic(id))!.bytesUp + (await boundary.traffic(id))!.bytesDown).toBeLessThanOrEqual(10);
  });

  test("slows a sandbox to its bandwidth and leaves another alone", async () => {
    const slow = await open(allow({ limits: { bytesPerSecond: 1024 ** 2 } }));
    const fast = await open(allow());
    const began = performance.now();
    const megabyte = "x".repeat(1024 ** 2);
    const slowed = slow.dial().then(async (socket) => [(await echo(socket, megabyte)).length, performance.now() - began] as const);
    expect((await echo(await fast.dial(), megabyte)).length).toBe(megabyte.length);
    const fastAfter = performance.now() - began;
    const [length, slowAfter] = await slowed;
    // A megabyte at a megabyte a second, less the burst; the machine may only be slower than that.
    expect(length).toBe(megabyte.length);
    expect(slowAfter).toBeGreaterThan(800);
    expect(fastAfter).toBeLessThan(slowAfter);
  });

  test("ends a connection on which nothing moves", async () => {
    const { dial } = await open(allow({ limits: { idleMs: 200 } }));
    const socket = await dial();
    expect(await echo(socket, "a")).toBe("a");
    expect(await readAll(socket)).toMatch(/^broken|^$/);
  });

  test("does not attach to a namespace in which the way out is not held, and then listens nowhere in it", async () => {
    const bare = makeInside({ tproxy: false });
    insides.push(bare);
    await boundary.prepare({ id: "sbx_bare", tenant: "t", generation: 1, policy: allow(), secrets: [] });
    await expect(boundary.attach("sbx_bare", bare.path)).rejects.toMatchObject({ code: "isolation_unavailable" });
    await expect(world.netns.connect(bare.path, "127.0.0.1", 808)).rejects.toMatchObject({ code: "ECONNREFUSED" });
    expect((await boundary.sessions()).find(({ id }) => id === "sbx_bare")).toEqual({ id: "sbx_bare", generation: 1, attached: false });
    await expect(boundary.attach("sbx_unknown", bare.path)).rejects.toMatchObject({ code: "sandbox_not_found" });
    await boundary.remove("sbx_bare");
  });

  test("proves the denial without leaving a trace in the verdicts", async () => {
    const { id, inside } = await open(allow());
    await boundary.attach(id, inside.path);
    expect((await world.verdicts(boundary, id)).filter(({ protocol }) => protocol !== "dns")).toEqual([]);
  });

  test("gives the same CA for one generation, a new one for the next, and refuses an older", async () => {
    const session = { id: "sbx_generations", tenant: "t", generation: 2, policy: allow(), secrets: [] };
    const first = await boundary.prepare(session);
    expect(await boundary.prepare(session)).toEqual(first);
    expect((await boundary.prepare({ ...session, generation: 3 })).caPem).not.toBe(first.caPem);
    await expect(boundary.prepare(session)).rejects.toMatchObject({ code: "conflict" });
    await boundary.remove(session.id);
    await boundary.remove(session.id);
  });

  test("killed, lets nothing out; comes back by itself with the same policy, names, counts and order", async () => {
    const { id, inside, dial } = await open(allow());
    const address = await world.synthetic(inside, "echo.test");
    const socket = await dial();
    expect(await echo(socket, "before")).toBe("before");
    const broken = new Promise((resolve) =>
      socket
        .on("error", () => {})
        .once("close", resolve)
        .once("end", resolve)
        .resume(),
    );
    const pid = world.pid();
    await until(() =>
      readFileSync(join(world.directory, "boundary", "sessions", `${id}.counters`), { encoding: "utf8", flag: "a+" }).includes('"up":6'),
    );
    process.kill(pid, "SIGKILL");
    await broken;
    await until(() => !alive(pid));
    await until(async () => (await boundary.sessions().catch(() => [])).find((one) => one.id === id)?.attached === true);
    expect(world.pid()).not.toBe(pid);
    const again = await world.netns.connect(inside.path, address, 7000);
    expect(await echo(again, "after")).toBe("after");
    const denied = await dial(22);
    denied.write("SSH-2.0-me\r\n");
    expect(await readAll(denied)).toMatch(/^broken|^$/);
    again.destroy();
    await until(async () => (await world.verdicts(boundary, id)).some(({ host }) => host === "echo.test"));
    const verdicts = await world.verdicts(boundary, id);
    expect(new Set(verdicts.map(({ seq }) => seq)).size).toBe(verdicts.length);
    expect((await boundary.traffic(id))!.bytesUp).toBeGreaterThanOrEqual(11);
  });

  test("says how many connections a policy would close, and closes none", async () => {
    const { id, dial } = await open(both([7000]));
    const socket = await dial();
    expect(await echo(socket, "one")).toBe("one");
    expect(await boundary.review(id, allow())).toEqual({ closed: 0 });
    expect(await boundary.review(id, policyOf([]))).toEqual({ closed: 2 });
    expect(await echo(socket, "two")).toBe("two");
    expect(await boundary.update(id, policyOf([]))).toEqual({ closed: 2 });
  });

  test("lets nothing out after a violation that ends the sandbox, also when killed and started again", async () => {
    const { id, dial } = await open(allow());
    const placeholder = "sbx_secret_0123456789abcdefghijABCDEFGHIJ02";
    const binding = { name: "token", placeholder, inject: { type: "bearer" }, hosts: ["echo.test"], ports: [443], replaceIn: [], onViolation: "terminate" } as const; // prettier-ignore
    await boundary.secrets(id, [{ binding, value: "a-real-value" }]);
    await boundary.update(id, policyOf([{ host: "echo.test", ports: [7000], tls: "inspect" }]));
    const bad = await dial();
    bad.write(`GET / HTTP/1.1\r\nHost: echo.test:7000\r\nConnection: close\r\nx-token: ${placeholder}\r\n\r\n`);
    expect(await readAll(bad)).toMatch(/403|^broken/);
    const heard = async (): Promise<string> => {
      const socket = await dial();
      socket.write("GET / HTTP/1.1\r\nHost: echo.test:7000\r\nConnection: close\r\n\r\n");
      return readAll(socket);
    };
    expect(await heard()).toContain("403");
    expect(readFileSync(join(world.directory, "boundary", "sessions", `${id}.counters`), "utf8")).toMatch(/"seq":[1-9]\d*,"halted":true/);
    const pid = world.pid();
    process.kill(pid, "SIGKILL");
    await until(() => !alive(pid));
    await until(async () => (await boundary.sessions().catch(() => [])).find((one) => one.id === id)?.attached === true);
    expect(await heard()).toContain("403");
    await boundary.remove(id);
  });

  test("keeps what it was told to protect from every sandbox, also in the process that follows", async () => {
    const { id, dial } = await open(both([7000, 7002]));
    await world.tcp(server, 7002, (socket) => socket.pipe(socket));
    expect(await echo(await dial(7002), "before")).toBe("before");
    await boundary.protect([`${server}:7002`]);
    const denied = async (): Promise<string> => {
      const socket = await dial(7002);
      socket.write("hello");
      return readAll(socket);
    };
    expect(await denied()).toMatch(/^broken|^$/);
    const pid = world.pid();
    process.kill(pid, "SIGKILL");
    await until(() => !alive(pid));
    await until(async () => (await boundary.sessions().catch(() => [])).find((one) => one.id === id)?.attached === true);
    expect(JSON.parse(readFileSync(join(world.directory, "boundary", "closed.json"), "utf8"))).toContain(`${server}:7002`);
    expect(await denied()).toMatch(/^broken|^$/);
    expect(await echo(await dial(), "still here")).toBe("still here");
  });

  test("is one process, however many want it at the same time", async () => {
    const many = await Promise.all(Array.from({ length: 4 }, () => world.boundary()));
    expect((await Promise.all(many.map((one) => one.sessions()))).map((list) => list.length)).toEqual(
      Array(4).fill((await boundary.sessions()).length),
    );
  });

  test("takes up another configuration by starting again, with its sessions", async () => {
    const { id, dial } = await open(allow());
    const pid = world.pid();
    const other = await world.boundary({ resolvers: [world.resolver, "127.0.0.1:5"] });
    expect(world.pid()).not.toBe(pid);
    expect((await other.sessions()).find((one) => one.id === id)?.attached).toBe(true);
    expect(await echo(await dial(), "here")).toBe("here");
    await other.close();
  });

  test("keeps its directory, its socket and its files to its owner, and neither key nor value in plain text", async () => {
    const value = "a-real-token-0123456789";
    const binding = {
      name: "token",
      placeholder: "sbx_secret_x",
      inject: { type: "bearer" },
      hosts: ["echo.test"],
      ports: [443],
      replaceIn: [],
      onViolation: "block",
    } as const;
    await boundary.prepare({ id: "sbx_kept", tenant: "t", generation: 1, policy: allow(), secrets: [{ binding, value }] });
    await boundary.secrets("sbx_kept", [{ binding, value: `${value}-rotated` }]);
    const directory = join(world.directory, "boundary");
    expect(statSync(directory).mode & 0o777).toBe(0o700);
    for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true })) {
      const path = join(entry.parentPath, entry.name);
      expect([path, statSync(path).mode & 0o077]).toEqual([path, 0]);
      if (entry.isFile()) expect(readFileSync(path, "latin1")).not.toMatch(/a-real-token|PRIVATE KEY/);
    }
    await boundary.remove("sbx_kept");
  });
});

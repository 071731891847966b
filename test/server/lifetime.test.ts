import { spawn } from "node:child_process";
import { mkdtemp, rm, stat, symlink, writeFile } from "node:fs/promises";
import { request } from "node:http";
import { createServer as createNetServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { WebSocket } from "ws";
import { LOCAL_OPERATOR, newId } from "../../src/contract/index.ts";
import { errorOf, eventually, openDoor, sseOf, type Sse, type TestDoor } from "./door.ts";

async function temporary(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "sbx-door-"));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

async function overSocket(path: string, target: string, headers: Record<string, string> = {}): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const client = request({ socketPath: path, path: target, headers, agent: false }, (response) => {
      let body = "";
      response.on("data", (piece: Buffer) => (body += piece.toString()));
      response.on("end", () => resolve({ status: response.statusCode ?? 0, body }));
    });
    client.on("error", reject);
    client.end();
  });
}

describe("the Unix socket", () => {
  it("belongs to its owner alone and needs no key; a key that is sent still counts", async () => {
    const door = await openDoor();
    const path = join(await temporary(), "server.sock");
    await door.server.listenUnix(path);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect((await overSocket(path, "/v1/keys")).status).toBe(200);
    expect((await overSocket(path, "/v1/keys", { authorization: "Bearer sbx_no" })).status).toBe(401);
    expect((await overSocket(path, "/v1/keys", { authorization: `Bearer ${door.tiny.key("acme", ["read"])}` })).status).toBe(403);
    await door.server.close();
    await expect(stat(path)).rejects.toMatchObject({ code: "ENOENT" });
  });

  it("leaves the process's umask as it was", async () => {
    const door = await openDoor();
    const before = process.umask();
    await door.server.listenUnix(join(await temporary(), "server.sock"));
    expect(process.umask()).toBe(before);
  });

  it("replaces the file that a killed server left", async () => {
    const door = await openDoor();
    const path = join(await temporary(), "server.sock");
    const script = `require("node:net").createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, "SIGKILL"))`;
    await new Promise((resolve) => spawn(process.execPath, ["-e", script]).on("exit", resolve));
    expect((await stat(path)).isSocket()).toBe(true);
    await door.server.listenUnix(path);
    expect((await overSocket(path, "/health")).status).toBe(200);
  });

  it("is a conflict where a server answers, and that server goes on", async () => {
    const [first, second] = [await openDoor(), await openDoor()];
    const path = join(await temporary(), "server.sock");
    await first.server.listenUnix(path);
    await expect(second.server.listenUnix(path)).rejects.toMatchObject({
      code: "conflict",
      message: expect.stringContaining(path) as string,
    });
    await second.server.close();
    expect((await overSocket(path, "/health")).status).toBe(200);
  });

  it("is a conflict where something else stands, which is left alone", async () => {
    const door = await openDoor();
    const directory = await temporary();
    await writeFile(join(directory, "file"), "precious");
    await symlink(join(directory, "elsewhere"), join(directory, "link"));
    for (const name of ["file", "link"])
      await expect(door.server.listenUnix(join(directory, name))).rejects.toMatchObject({ code: "conflict" });
    expect((await stat(join(directory, "file"))).size).toBe(8);
    await expect(door.server.listenUnix(join(directory, "x".repeat(120)))).rejects.toMatchObject({ code: "invalid_request" });
  });
});

describe("a TCP address", () => {
  it("that is taken is a conflict naming it", async () => {
    const door = await openDoor();
    const other = createNetServer().listen(0, "127.0.0.1");
    onTestFinished(() => void other.close());
    await eventually(() => other.listening);
    const { port } = other.address() as { port: number };
    await expect(door.server.listen({ port })).rejects.toMatchObject({
      code: "conflict",
      message: expect.stringContaining(`127.0.0.1:${port}`) as string,
    });
  });
});

describe("closing", () => {
  const stream = (door: TestDoor, path: string, init: RequestInit = {}) =>
    door.call(path, { ...init, headers: { ...(init.headers as Record<string, string>), accept: "text/event-stream" } });

  async function events(response: Response): Promise<Sse[]> {
    const all: Sse[] = [];
    for await (const event of sseOf(response)) all.push(event);
    return all;
  }

  it("ends followers at once with a last event that says so, and detaches WebSockets", async () => {
    const door = await openDoor({ graceMs: 60_000 });
    const { id } = door.tiny.sandbox("acme");
    const process = `/v1/sandboxes/${id}/processes/${newId("process")}`;
    const ledger = await stream(door, "/v1/events");
    const output = await stream(door, `${process}/output?follow=true`);
    const waiting = door.call(`${process}/wait`);
    const socket = new WebSocket(`${door.url.replace("http", "ws")}${process}/ws`, { headers: { authorization: `Bearer ${door.key}` } });
    await new Promise((resolve) => socket.on("open", resolve));
    const closedWith = new Promise((resolve) => socket.on("close", resolve));
    await new Promise((resolve) => setTimeout(resolve, 50));
    await door.server.close();
    for (const response of [ledger, output])
      expect((await events(response)).at(-1)).toMatchObject({
        event: "error",
        data: { error: { code: "shutting_down", retryable: true } },
      });
    expect((await errorOf(await waiting)).code).toBe("shutting_down");
    expect(await closedWith).toBe(1001);
    await expect(door.call("/health")).rejects.toThrow();
  });

  it("waits for work, and cuts off what takes longer than the grace time with an error as its last event", async () => {
    const door = await openDoor({ graceMs: 150 });
    const path = `/v1/sandboxes/${door.tiny.sandbox("acme").id}/exec`;
    const headers = { "content-type": "application/json" };
    const hanging = await stream(door, path, { method: "POST", body: '{"argv":["hang"]}', headers });
    const flood = door.call(path, { method: "POST", body: '{"argv":["flood","3000000"]}', headers });
    await eventually(() => door.tiny.seen.execs.length === 2);
    await door.server.close();
    expect(((await (await flood).json()) as { outcome: string }).outcome).toBe("exited");
    expect((await events(hanging)).at(-1)).toMatchObject({ event: "error", data: { error: { code: "shutting_down" } } });
    expect(door.tiny.seen.aborted).toBe(1);
  });

  it("is safe to repeat, and with a client that never reads", async () => {
    const door = await openDoor({ graceMs: 50 });
    const { id } = door.tiny.sandbox("acme");
    const client = request(`${door.url}/v1/sandboxes/${id}/exec`, {
      method: "POST",
      headers: { authorization: `Bearer ${door.key}`, "content-type": "application/json", accept: "text/event-stream" },
    });
    client.on("error", () => undefined);
    client.on("response", (response) => response.on("error", () => undefined).pause());
    client.end('{"argv":["yes"]}');
    await eventually(() => door.tiny.seen.producedBytes > 1e6);
    await Promise.all([door.server.close(), door.server.close()]);
    await eventually(() => door.tiny.seen.finished === 1);
  });
});

describe("fetch in this process", () => {
  it("needs a key unless it is told who is asking", async () => {
    const door = await openDoor();
    const { id } = door.tiny.sandbox("default");
    const get = (headers = {}) => new Request(`http://in-process/v1/sandboxes/${id}`, { headers });
    expect((await door.server.fetch(get())).status).toBe(401);
    expect((await door.server.fetch(get({ authorization: `Bearer ${door.key}` }))).status).toBe(404);
    expect((await door.server.fetch(get(), { principal: LOCAL_OPERATOR })).status).toBe(200);
  });

  it("streams both ways, and ends the command when its reader stops", async () => {
    const door = await openDoor();
    const base = `http://in-process/v1/sandboxes/${door.tiny.sandbox("default").id}`;
    const ask = (path: string, init: RequestInit) => door.server.fetch(new Request(base + path, init), { principal: LOCAL_OPERATOR });
    const headers = { "content-type": "application/json", accept: "text/event-stream" };
    const done = await ask("/exec", { method: "POST", body: '{"argv":["split"]}', headers });
    const seen: string[] = [];
    for await (const { event } of sseOf(done)) seen.push(event);
    expect(seen).toEqual(["started", "stdout", "stderr", "stdout", "exited"]);
    const flood = await ask("/exec", { method: "POST", body: '{"argv":["yes"]}', headers });
    for await (const { event } of sseOf(flood)) if (event === "stdout") break;
    await eventually(() => door.tiny.seen.finished === 1);
    expect(door.tiny.seen.producedBytes).toBeLessThan(8 * 1024 ** 2);
    const written = await ask("/files?path=a", { method: "PUT", body: new Blob(["hello"]).stream(), duplex: "half" } as RequestInit);
    expect(await written.json()).toMatchObject({ path: "a", size: 5 });
    expect((await (await ask("/files?path=a", {})).arrayBuffer()).byteLength).toBe(5);
    const empty = await ask("/files?path=a", { method: "DELETE" });
    expect(empty.status).toBe(204);
  });
});

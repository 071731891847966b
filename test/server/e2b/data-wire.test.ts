import { Sandbox } from "e2b";
import { expect, test } from "vitest";
import { LOCAL_OPERATOR } from "../../../src/contract/index.ts";
import { openE2bDoor, type E2bTestDoor } from "./e2b-door.ts";
import { until } from "./data-door.ts";

/** Calls without an SDK, as other languages' clients make them. */
async function wire(door: E2bTestDoor) {
  const sandbox = await Sandbox.create(await door.connection());
  const { envdAccessToken } = (await (await door.call(`/sandboxes/${sandbox.sandboxId}`)).json()) as { envdAccessToken: string };
  const headers = { "e2b-sandbox-id": sandbox.sandboxId, "e2b-sandbox-port": "49983", "x-access-token": envdAccessToken };
  const send = (method: string, body: BodyInit, type: string, more: Record<string, string> = {}) =>
    fetch(`${door.url}/${method}`, { method: "POST", body, headers: { ...headers, "content-type": type, ...more } });
  const unary = async (method: string, message: object) => {
    const response = await send(method, JSON.stringify(message), "application/json");
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  };
  const stream = async (method: string, message: object, more: Record<string, string> = {}) => {
    const response = await send(method, envelope(message), "application/connect+json", more);
    return envelopes(Buffer.from(await response.arrayBuffer()));
  };
  return { sandbox, unary, stream, headers };
}

function envelope(message: object): Uint8Array<ArrayBuffer> {
  const body = Buffer.from(JSON.stringify(message));
  const header = Buffer.alloc(5);
  header.writeUInt32BE(body.length, 1);
  return new Uint8Array(Buffer.concat([header, body]));
}

function envelopes(bytes: Buffer): { flags: number; message: Record<string, unknown> }[] {
  const found: { flags: number; message: Record<string, unknown> }[] = [];
  for (let at = 0; at < bytes.length;) {
    const length = bytes.readUInt32BE(at + 1);
    found.push({
      flags: bytes[at] ?? 0,
      message: JSON.parse(bytes.subarray(at + 5, at + 5 + length).toString()) as Record<string, unknown>,
    });
    at += 5 + length;
  }
  return found;
}

const shell = (line: string, more: object = {}) => ({ process: { cmd: "/bin/bash", args: ["-l", "-c", line] }, ...more });

test("a started command's events are enveloped JSON: start, data in base64, end, and the stream's own end", async () => {
  const { stream } = await wire(await openE2bDoor());
  const events = await stream("process.Process/Start", shell("echo hi; exit 2", { stdin: false }));
  expect(events).toEqual([
    { flags: 0, message: { event: { start: { pid: 1 } } } },
    { flags: 0, message: { event: { data: { stdout: "aGkK" } } } },
    { flags: 0, message: { event: { end: { exitCode: 2, exited: true, status: "exit status 2", error: "exit status 2" } } } },
    { flags: 2, message: {} },
  ]);
});

test("output comes in pieces of 32 KiB at most, and a quiet stream has signs of life", async () => {
  const { stream } = await wire(await openE2bDoor());
  const events = await stream("process.Process/Start", shell("head -c 100000 /dev/zero; sleep 1.5", { stdin: false }), {
    "keepalive-ping-interval": "1",
  });
  const sizes = events.map(
    ({ message }) => Buffer.from((message as { event?: { data?: { stdout?: string } } }).event?.data?.stdout ?? "", "base64").length,
  );
  expect(sizes.reduce((total, size) => total + size, 0)).toBe(100_000);
  expect(Math.max(...sizes)).toBeLessThanOrEqual(32 * 1024);
  expect(events).toContainEqual({ flags: 0, message: { event: { keepalive: {} } } });
});

test("standard input is open unless it is refused, and a process is found by its tag", async () => {
  const { stream, unary } = await wire(await openE2bDoor());
  const started = stream("process.Process/Start", shell("cat", { tag: "mine" }));
  const byTag = { process: { tag: "mine" } };
  await until(async () => (await unary("process.Process/SendInput", { ...byTag, input: { stdin: "YQ==" } })).status === 200);
  expect((await unary("process.Process/List", {})).body).toMatchObject({ processes: [{ pid: 1, tag: "mine" }] });
  expect((await unary("process.Process/SendInput", { ...byTag, input: { pty: "YQ==" } })).body).toMatchObject({
    code: "failed_precondition",
  });
  expect((await unary("process.Process/CloseStdin", byTag)).status).toBe(200);
  expect((await started).map(({ message }) => message)).toContainEqual({ event: { data: { stdout: "YQ==" } } });
  expect(await unary("process.Process/SendSignal", { process: { pid: 1 }, signal: "SIGNAL_SIGTERM" })).toMatchObject({
    status: 404,
    body: { code: "not_found" },
  });
});

test("a deadline kills the command and ends its stream with deadline_exceeded", async () => {
  const { stream, unary } = await wire(await openE2bDoor());
  const events = await stream("process.Process/Start", shell("sleep 100"), { "connect-timeout-ms": "200" });
  expect(events.at(-1)).toMatchObject({ flags: 2, message: { error: { code: "deadline_exceeded" } } });
  await until(async () => (await unary("process.Process/List", {})).body["processes"] === undefined);
});

test("watchers are asked for their events, and are gone when removed", async () => {
  const { sandbox, unary } = await wire(await openE2bDoor());
  const { body } = await unary("filesystem.Filesystem/CreateWatcher", { path: "~", recursive: true });
  await sandbox.files.write("dir/file", "1");
  const events: unknown[] = [];
  await until(async () => {
    const { body: taken } = await unary("filesystem.Filesystem/GetWatcherEvents", body);
    events.push(...((taken["events"] as unknown[] | undefined) ?? []));
    return events.length > 1;
  });
  expect(events).toContainEqual({ name: "dir/file", type: "EVENT_TYPE_CREATE" });
  expect((await unary("filesystem.Filesystem/RemoveWatcher", body)).status).toBe(200);
  expect(await unary("filesystem.Filesystem/GetWatcherEvents", body)).toMatchObject({ status: 404, body: { code: "not_found" } });
});

test("an entry's size is a string and its kind a name, as JSON has them", async () => {
  const { sandbox, unary } = await wire(await openE2bDoor());
  await sandbox.files.write("f", "12345");
  const { body } = await unary("filesystem.Filesystem/Stat", { path: "f" });
  expect(body).toMatchObject({
    entry: { name: "f", type: "FILE_TYPE_FILE", path: "/home/user/f", size: "5", mode: 0o644, modifiedTime: expect.stringMatching(/Z$/) },
  });
  expect((await unary("filesystem.Filesystem/Stat", { path: "none" })).body).toMatchObject({ code: "not_found" });
  expect((await unary("filesystem.Filesystem/Stat", { path: "~other/f" })).body).toMatchObject({ code: "invalid_argument" });
});

test("a process keeps its number, whichever door started it", async () => {
  const first = await openE2bDoor();
  const { sandbox, unary } = await wire(first);
  const { processes } = first.opened.engine;
  const other = await processes.start(LOCAL_OPERATOR, sandbox.sandboxId, { shell: "sleep 100" });
  const handle = await sandbox.commands.run("sleep 100", { background: true });
  expect([other.number, handle.pid]).toEqual([1, 2]);
  await expect(processes.start(LOCAL_OPERATOR, sandbox.sandboxId, { shell: "true", cwd: "/none" })).rejects.toThrow();
  expect((await processes.list(LOCAL_OPERATOR, sandbox.sandboxId)).map(({ number }) => number)).toEqual([1, 2]);
  expect((await unary("process.Process/SendSignal", { process: { pid: 1 }, signal: "SIGNAL_SIGKILL" })).status).toBe(200);
  expect((await sandbox.commands.list()).map(({ pid }) => pid)).toEqual([2]);
});

test("health is 204 while the sandbox runs and 502 when it has ended, and needs its token", async () => {
  const door = await openE2bDoor();
  const { sandbox, headers } = await wire(door);
  const health = async (more: object = {}) => (await fetch(`${door.url}/health`, { headers: { ...headers, ...more } })).status;
  expect(await health()).toBe(204);
  expect(await health({ "x-access-token": "wrong" })).toBe(401);
  await sandbox.kill();
  expect(await health()).toBe(502);
});

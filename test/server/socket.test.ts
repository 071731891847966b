import { describe, expect, it } from "vitest";
import { WebSocket, type ClientOptions } from "ws";
import { newId } from "../../src/contract/index.ts";
import { eventually, openDoor, type TestDoor } from "./door.ts";

interface Attached {
  socket: WebSocket;
  binary: Buffer[];
  text: Record<string, unknown>[];
  closed: Promise<number>;
}

async function opened(limits = {}): Promise<{ door: TestDoor; path: string }> {
  const door = await openDoor(limits);
  return { door, path: `/v1/sandboxes/${door.tiny.sandbox("acme").id}/processes/${newId("process")}/ws` };
}

const bearer = (door: TestDoor) => ({ headers: { authorization: `Bearer ${door.key}` } });

async function attach(door: TestDoor, path: string, protocols: string[] = [], options: ClientOptions = bearer(door)): Promise<Attached> {
  const socket = new WebSocket(door.url.replace("http", "ws") + path, protocols, options);
  const attached: Attached = { socket, binary: [], text: [], closed: new Promise((resolve) => void socket.on("close", resolve)) };
  socket.on("message", (data: Buffer, isBinary) => {
    if (isBinary) attached.binary.push(data);
    else attached.text.push(JSON.parse(data.toString()) as Record<string, unknown>);
  });
  await new Promise((resolve, reject) => {
    socket.on("open", resolve);
    socket.on("error", reject);
  });
  return attached;
}

/** The answer to an upgrade that is refused. */
async function refused(
  door: TestDoor,
  path: string,
  protocols: string[],
  options: ClientOptions,
): Promise<{ status: number; code: string }> {
  const socket = new WebSocket(door.url.replace("http", "ws") + path, protocols, options);
  return new Promise((resolve, reject) => {
    socket.on("open", () => reject(new Error("the upgrade was taken")));
    socket.on("error", () => undefined);
    socket.on("unexpected-response", (_request, response) => {
      let body = "";
      response.on("data", (piece: Buffer) => (body += piece.toString()));
      response.on("end", () =>
        resolve({ status: response.statusCode ?? 0, code: (JSON.parse(body) as { error: { code: string } }).error.code }),
      );
    });
  });
}

describe("the WebSocket of a process", () => {
  it("sends output from the offset with a byte that says which stream, then how it ended, and closes with 1000", async () => {
    const { door, path } = await opened();
    const attached = await attach(door, `${path}?offset=1`);
    expect(await attached.closed).toBe(1000);
    expect(attached.binary).toEqual([Buffer.from("\u0001from 1"), Buffer.from([2, 0xff])]);
    expect(attached.text).toEqual([
      { type: "ended", outcome: "exited", exit_code: 0, signal: null, oom_killed: false, truncated: false, offset: 8 },
    ]);
  });

  it("passes input, resizes, signals and the end of input on, in their order", async () => {
    const { door, path } = await opened();
    const { socket } = await attach(door, path);
    socket.send(Buffer.from("ls\n"));
    socket.send(JSON.stringify({ type: "resize", cols: 100, rows: 30 }));
    socket.send(JSON.stringify({ type: "signal", signal: "SIGINT" }));
    socket.send(Buffer.from("exit\n"));
    socket.send(JSON.stringify({ type: "close_stdin" }));
    await eventually(() => door.tiny.seen.writes.length === 5);
    expect(door.tiny.seen.writes).toEqual(["ls\n", "resize 100x30", "signal SIGINT", "exit\n", "close"]);
    socket.terminate();
    await eventually(() => door.tiny.seen.aborted === 1);
  });

  it("tells what is wrong with a message it does not know, and closes", async () => {
    const { door, path } = await opened();
    for (const message of [
      "nope",
      "{}",
      '{"type":"resize","cols":0,"rows":1}',
      '{"type":"signal","signal":"SIGFOO"}',
      '{"type":"close_stdin","x":1}',
      '{"__proto__":1}',
    ]) {
      const attached = await attach(door, path);
      attached.socket.send(message);
      expect(await attached.closed).toBe(1008);
      expect(attached.text).toMatchObject([{ type: "error", error: { code: "invalid_request" } }]);
    }
    expect(door.tiny.seen.writes).toEqual([]);
  });

  it("closes on a message over its limit without handing it on", async () => {
    const { door, path } = await opened();
    const { socket, closed } = await attach(door, path);
    socket.send(Buffer.alloc(1024 ** 2 + 1));
    expect(await closed).toBe(1009);
    expect(door.tiny.seen.stdinBytes).toBe(0);
  });

  it("reports an output that breaks as an error and not as an end", async () => {
    const { door, path } = await opened();
    const attached = await attach(door, `${path}?offset=9`);
    expect(await attached.closed).toBe(1011);
    expect(attached.text).toMatchObject([{ type: "error", error: { code: "internal" } }]);
    expect(JSON.stringify(attached.text)).not.toContain("/secret");
  });

  it("makes the process's output wait for a slow client", async () => {
    const { door, path } = await opened({ keepaliveMs: 60_000 });
    const { socket } = await attach(door, `${path}?offset=7`);
    socket.pause();
    const { seen } = door.tiny;
    let before = -1;
    while (seen.producedBytes !== before || before <= 0) {
      before = seen.producedBytes;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    expect(before).toBeLessThan(64 * 1024 ** 2);
    socket.resume();
    await eventually(() => seen.producedBytes > before + 8 * 1024 ** 2);
    socket.terminate();
    await eventually(() => seen.finished === 1);
  });

  it("lets go of a client that no longer answers pings", async () => {
    const { door, path } = await opened({ keepaliveMs: 30 });
    const { socket } = await attach(door, path, [], { ...bearer(door), autoPong: false });
    await eventually(() => door.tiny.seen.aborted === 1);
    socket.terminate();
  });

  it("takes a key in the subprotocol, and does not echo it", async () => {
    const { door, path } = await opened();
    const { socket } = await attach(door, path, ["sandboxer", `sandboxer.key.${door.key}`], { origin: "https://console.example.com" });
    expect(socket.protocol).toBe("sandboxer");
    socket.terminate();
  });

  it("refuses pages of other origins that bring no key of their own, and takes its own", async () => {
    const { door, path } = await opened();
    for (const origin of ["https://evil.test", "null", `http://127.0.0.1:${door.port + 1}`, `http://localhost.evil.test:${door.port}`]) {
      expect(await refused(door, path, ["sandboxer"], { ...bearer(door), origin })).toEqual({ status: 403, code: "forbidden" });
    }
    const { socket } = await attach(door, path, [], { ...bearer(door), origin: door.url });
    socket.terminate();
  });

  it("is refused with the usual errors before it is opened", async () => {
    const { door, path } = await opened();
    const key = (scopes: ("read" | "write")[], tenant = "acme") => ({
      headers: { authorization: `Bearer ${door.tiny.key(tenant, scopes)}` },
    });
    const good = bearer(door);
    expect(await refused(door, path, [], {})).toEqual({ status: 401, code: "unauthorized" });
    expect(await refused(door, path, ["sandboxer", "sandboxer.key.sbx_no"], good)).toEqual({ status: 401, code: "unauthorized" });
    expect(await refused(door, path, [], key(["read"]))).toEqual({ status: 403, code: "forbidden" });
    expect(await refused(door, path, [], key(["write"], "other"))).toEqual({ status: 404, code: "sandbox_not_found" });
    expect(await refused(door, `${path}?offset=x`, [], good)).toEqual({ status: 400, code: "invalid_request" });
    expect(await refused(door, `${path}?ofset=1`, [], good)).toEqual({ status: 400, code: "invalid_request" });
    expect(await refused(door, "/v1/sandboxes/abc/processes/def/ws", [], good)).toEqual({ status: 400, code: "invalid_request" });
    expect(await refused(door, path, [], { headers: { ...good.headers, host: "evil.test" } })).toEqual({ status: 403, code: "forbidden" });
    expect(await refused(door, "/v1/nothing/here", [], good)).toEqual({ status: 404, code: "not_found" });
    expect((await door.call(path)).status).toBe(400);
  });
});

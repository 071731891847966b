import { get, type IncomingMessage } from "node:http";
import { FileNotFoundError, FilesystemEventType, type FilesystemEvent } from "e2b";
import { describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import { LOCAL, STAGES, titled, until, withSandbox } from "./data-door.ts";

describe.each(titled(STAGES))("watches of %s", (_, stage) => {
  test("what happens in a directory is told with names relative to it, also in new subdirectories", () =>
    withSandbox(stage, async ({ files, commands }) => {
      await files.makeDir("w");
      const seen: FilesystemEvent[] = [];
      const handle = await files.watchDir("w", (event) => void seen.push(event), {
        recursive: true,
        includeEntry: stage.sdk.version === "2.51.0",
      });
      await commands.run("mkdir /home/user/w/new; echo 1 >/home/user/w/new/first");
      await until(() => seen.some(({ name, type }) => name === "new/first" && type === FilesystemEventType.CREATE));
      expect(seen.some(({ name, type }) => name === "new" && type === FilesystemEventType.CREATE)).toBe(true);
      await files.remove("w/new/first");
      await until(() => seen.some(({ name, type }) => name === "new/first" && type === FilesystemEventType.REMOVE));
      await handle.stop();
      await expect(files.watchDir("none", () => {})).rejects.toMatchObject({ name: FileNotFoundError.name });
    }));

  test("a watch is told when its sandbox is killed", () =>
    withSandbox(stage, async (sandbox) => {
      let ended: unknown;
      await sandbox.files.watchDir(".", () => {}, { timeoutMs: 0, onExit: (error) => void (ended = error ?? "without an error") });
      await sandbox.kill();
      await until(() => ended !== undefined);
      expect(ended).toMatchObject({ name: "TimeoutError" });
    }));
});

describe.each(titled(STAGES))("the terminal of %s", (_, stage) => {
  const isLocal = stage.backend === "local";

  test("it takes input, tells its size, is resized, and ends with its shell's status", () =>
    withSandbox(stage, async ({ pty, commands }) => {
      let text = "";
      const handle = await pty.create({ cols: 81, rows: 25, onData: (data) => void (text += Buffer.from(data).toString()) });
      expect((await commands.list()).map(({ pid }) => pid)).toEqual([handle.pid]);
      if (isLocal) {
        await pty.sendInput(handle.pid, Buffer.from("stty size\n"));
        await until(() => text.includes("25 81"));
        await pty.resize(handle.pid, { cols: 102, rows: 31 });
        await pty.sendInput(handle.pid, Buffer.from("stty size\n"));
        await until(() => text.includes("31 102"));
      } else await pty.resize(handle.pid, { cols: 102, rows: 31 });
      await pty.sendInput(handle.pid, Buffer.from("exit 5\n"));
      expect(await handle.wait().catch((error: unknown) => error)).toMatchObject({ exitCode: 5 });
    }));

  test("it is killed, and who disconnected can connect again", () =>
    withSandbox(stage, async ({ pty }) => {
      const handle = await pty.create({ cols: 80, rows: 24, onData: () => {} });
      await handle.disconnect();
      let text = "";
      const again = await pty.connect(handle.pid, { onData: (data) => void (text += Buffer.from(data).toString()) });
      await pty.sendInput(handle.pid, Buffer.from("echo a''b\n"));
      await until(() => text.includes("ab"));
      expect(await pty.kill(handle.pid)).toBe(true);
      expect(await again.wait().catch((error: unknown) => error)).toMatchObject({ exitCode: -1 });
      expect(await pty.kill(handle.pid)).toBe(false);
    }));
});

describe.each(titled(LOCAL))("inside %s", (_, stage) => {
  test(
    "git works through the SDK's helpers",
    () =>
      withSandbox(stage, async ({ git, files }) => {
        await git.init("repo", { initialBranch: "main" });
        await git.configureUser("Ann", "ann@example.com", { scope: "local", path: "repo" });
        await files.write("repo/a.txt", "1");
        expect((await git.status("repo")).fileStatus.map(({ name }) => name)).toEqual(["a.txt"]);
        await git.add("repo");
        await git.commit("repo", "first");
        expect((await git.status("repo")).isClean).toBe(true);
        await git.createBranch("repo", "other");
        expect((await git.branches("repo")).branches.sort()).toEqual(["main", "other"]);
        await git.clone("/home/user/repo", { path: "copy" });
        expect(await files.read("copy/a.txt")).toBe("1");
      }),
    30_000,
  );

  test(
    "a port on localhost is reached from outside, with bodies both ways, and a closed one is told as closed",
    () =>
      withSandbox(stage, async (sandbox, door) => {
        await sandbox.files.write("server.py", SERVER);
        await sandbox.commands.run("python3 server.py", { background: true });
        const to = (port: number) => ({ "e2b-sandbox-id": sandbox.sandboxId, "e2b-sandbox-port": String(port) });
        const at = (path: string, init: RequestInit = {}, port = 3000) =>
          fetch(door.url + path, { ...init, headers: { ...to(port), "x-own": "mine" } });
        await until(async () => (await at("/")).status === 200);
        const body = "x".repeat(300_000);
        const echoed = await at("/p?q=1", { method: "POST", body });
        expect([echoed.status, echoed.headers.get("x-path"), echoed.headers.get("x-seen")]).toEqual([201, "/p?q=1", "mine None"]);
        expect(await echoed.text()).toBe(body);
        const closed = await at("/", {}, 3001);
        expect(closed.status).toBe(502);
        expect(await closed.json()).toMatchObject({ code: 502, message: "The sandbox is running but port is not open" });
        // By its host name, as a browser would ask.
        const byName = new URL(`http://${sandbox.getHost(3000)}/named`);
        expect(byName.hostname).toBe(`3000-${sandbox.sandboxId}.localhost`);
        const address = new URL(byName.pathname, door.url);
        const response = await new Promise<IncomingMessage>((resolve) => get(address, { headers: { host: byName.host } }, resolve));
        expect(response.headers["x-path"]).toBe("/named");
        response.resume();
      }),
    30_000,
  );

  test(
    "a WebSocket goes through to a port inside, in both directions, and a closed port refuses it",
    () =>
      withSandbox(stage, async (sandbox, door) => {
        await sandbox.files.write("echo.mjs", SOCKET_SERVER);
        await sandbox.commands.run("node echo.mjs", { background: true });
        const open = (port: number) =>
          new WebSocket(door.url.replace("http", "ws"), {
            headers: { "e2b-sandbox-id": sandbox.sandboxId, "e2b-sandbox-port": String(port) },
          });
        const socket = await connected(() => open(3000));
        const answers: string[] = [];
        socket.on("message", (data: Buffer) => void answers.push(data.toString()));
        socket.send("first");
        socket.send("x".repeat(100));
        await until(() => answers.length === 2);
        expect(answers).toEqual(["first", "x".repeat(100)]);
        socket.close();
        const status = await new Promise((resolve) =>
          open(3001)
            .on("unexpected-response", (_request, response) => resolve(response.statusCode))
            .on("error", () => {}),
        );
        expect(status).toBe(502);
      }),
    30_000,
  );
});

/** Tries until the program inside listens. */
async function connected(open: () => WebSocket): Promise<WebSocket> {
  for (;;) {
    const socket = open();
    const isOpen = await new Promise<boolean>((resolve) => socket.on("open", () => resolve(true)).on("error", () => resolve(false)));
    if (isOpen) return socket;
  }
}

/** Answers each short unfragmented message with itself. */
const SOCKET_SERVER = `
import { createServer } from "node:http"; import { createHash } from "node:crypto";
createServer().on("upgrade", (request, socket) => {
  const key = createHash("sha1").update(request.headers["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest("base64");
  socket.write("HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\nSec-WebSocket-Accept: " + key + "\\r\\n\\r\\n");
  let held = Buffer.alloc(0);
  socket.on("data", (data) => {
    for (held = Buffer.concat([held, data]); held.length >= 6; ) {
      const length = held[1] & 127; if (held.length < 6 + length) return;
      const text = Buffer.from(held.subarray(6, 6 + length).map((byte, i) => byte ^ held[2 + (i % 4)]));
      if ((held[0] & 15) === 8) return socket.end(); socket.write(Buffer.concat([Buffer.from([129, length]), text])); held = held.subarray(6 + length);
    }
  });
}).listen(3000, "127.0.0.1");
`;

const SERVER = `
from http.server import *
class H(BaseHTTPRequestHandler):
  def answer(self, status, body):
    self.send_response(status); self.send_header("x-path", self.path)
    self.send_header("x-seen", "%s %s" % (self.headers["x-own"], self.headers["e2b-sandbox-id"]))
    self.send_header("content-length", str(len(body))); self.end_headers(); self.wfile.write(body)
  def do_GET(self): self.answer(200, b"")
  def do_POST(self): self.answer(201, self.rfile.read(int(self.headers["content-length"] or 0)))
ThreadingHTTPServer(("127.0.0.1", 3000), H).serve_forever()
`;

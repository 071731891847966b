import { createHash, randomBytes } from "node:crypto";
import { request, type IncomingMessage } from "node:http";
import { expect, test } from "vitest";
import { WebSocket } from "ws";
import type { Sandbox } from "../../../src/contract/index.ts";
import { until } from "../e2b/data-door.ts";
import { openPreview, startServer, type PreviewTestDoor } from "./preview-door.ts";
import { FILE_SERVER, oracleOn } from "./programs.ts";
import { runCommand } from "../../support/local-engine.ts";
import { TENANT } from "./preview-door.ts";

const isRoot = process.getuid?.() === 0;
const PUBLIC = { ports: [3000, 3001, 8000].map((port) => ({ port, visibility: "public" })) };
const MIB = 1024 ** 2;

async function openOracle(request = {}, host?: string): Promise<{ door: PreviewTestDoor; sandbox: Sandbox }> {
  const door = await openPreview("local");
  const sandbox = await door.sandbox(PUBLIC, request);
  await startServer(door, sandbox, 3000, "oracle.mjs", oracleOn(3000, host));
  return { door, sandbox };
}

interface Counted {
  sent: number;
  got: number;
  open: number;
  aborted: number;
}

async function countOf(door: PreviewTestDoor, sandbox: Sandbox): Promise<Counted> {
  return JSON.parse((await door.visit(sandbox, 3000, "/count")).body) as Counted;
}

/** The relays that stand inside. */
async function relaysIn({ opened }: PreviewTestDoor, { id }: Sandbox): Promise<number> {
  const { stdout } = await runCommand(opened.engine, TENANT, id, {
    shell: "grep -las '[n]c.127.0.0.1.3000' /proc/[0-9]*/cmdline | wc -l",
  });
  return Number(stdout);
}

function open(door: PreviewTestDoor, sandbox: Sandbox, path: string): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const asked = request({ host: "127.0.0.1", port: door.port, path, headers: { host: door.hostOf(sandbox, 3000) } }, resolve);
    asked.on("error", reject);
    asked.end();
  });
}

function socketTo(door: PreviewTestDoor, sandbox: Sandbox, path: string, port = 3000, origin?: string): WebSocket {
  return new WebSocket(`ws://127.0.0.1:${door.port}${path}`, ["vite-hmr"], {
    headers: { host: door.hostOf(sandbox, port), ...(origin === undefined ? {} : { origin }) },
  });
}

test.runIf(isRoot)(
  "Python's file server is reached, with HEAD and what is not there, as on its own machine",
  async () => {
    const door = await openPreview("local");
    const sandbox = await door.sandbox(PUBLIC);
    await startServer(door, sandbox, 8000, "files.py", FILE_SERVER);
    expect((await door.visit(sandbox, 8000, "/page.html")).body).toBe("<p>page</p>");
    const head = await door.visit(sandbox, 8000, "/page.html", { method: "HEAD" });
    expect([head.status, head.headers["content-length"], head.body]).toEqual([200, "11", ""]);
    expect((await door.visit(sandbox, 8000, "/none")).status).toBe(404);
    expect((await door.ask(`/p/${sandbox.id}/8000/page.html`)).body).toBe("<p>page</p>");
  },
  60_000,
);

test.runIf(isRoot)(
  "a WebSocket server, as a development server's for reloading, is reached and refuses in its own words",
  async () => {
    const { door, sandbox } = await openOracle();
    const socket = socketTo(door, sandbox, "/hmr");
    const said: string[] = [];
    socket.on("message", (data: Buffer) => void said.push(data.toString()));
    await new Promise((resolve, reject) => socket.on("open", resolve).on("error", reject));
    expect(socket.protocol).toBe("vite-hmr");
    socket.send("update");
    await until(() => said.length === 2);
    expect(said).toEqual(['{"type":"connected"}', "update"]);
    socket.close();
    await until(async () => (await countOf(door, sandbox)).open === 0);
    const status = (path: string, port?: number) =>
      new Promise((resolve) =>
        socketTo(door, sandbox, path, port)
          .on("unexpected-response", (_q, answer) => resolve(answer.statusCode))
          .on("error", () => {}),
      );
    expect(await status("/refuse")).toBe(401);
    expect(await status("/", 3001)).toBe(502);
    expect(await status("/", 3002)).toBe(404);
  },
  60_000,
);

test.runIf(isRoot)(
  "an event stream comes event by event, and ends inside when its reader leaves",
  async () => {
    const { door, sandbox } = await openOracle();
    const stream = await open(door, sandbox, "/events");
    let text = "";
    stream.on("data", (piece: Buffer) => (text += piece.toString()));
    await until(() => text.includes("data: 3"));
    expect(text.startsWith("data: 0\n\ndata: 1\n\n")).toBe(true);
    expect((await countOf(door, sandbox)).open).toBe(1);
    stream.destroy();
    await until(async () => (await countOf(door, sandbox)).open === 0);
  },
  60_000,
);

test.runIf(isRoot)(
  "100 MB go down and up unchanged, with and without a length",
  async () => {
    const { door, sandbox } = await openOracle();
    const down = await open(door, sandbox, `/down?bytes=${100 * MIB}`);
    let bytes = 0;
    for await (const piece of down) bytes += (piece as Buffer).length;
    expect([bytes, down.complete]).toEqual([100 * MIB, true]);
    const body = randomBytes(MIB);
    const sha256 = createHash("sha256");
    for (let i = 0; i < 100; i++) sha256.update(body);
    const expected = sha256.digest("hex");
    for (const length of [String(100 * MIB), undefined]) {
      const answer = await new Promise<IncomingMessage>((resolve, reject) => {
        const headers = { host: door.hostOf(sandbox, 3000), ...(length === undefined ? {} : { "content-length": length }) };
        const asked = request({ host: "127.0.0.1", port: door.port, method: "PUT", path: "/up", headers }, resolve);
        asked.on("error", reject);
        let left = 100;
        const more = (): void => {
          while (left-- > 0) if (!asked.write(body)) return void asked.once("drain", more);
          asked.end();
        };
        more();
      });
      let text = "";
      for await (const piece of answer) text += String(piece);
      expect(JSON.parse(text)).toEqual({
        bytes: 100 * MIB,
        sha256: expected,
        framing: length === undefined ? [null, "chunked"] : [length, null],
      });
    }
  },
  180_000,
);

test.runIf(isRoot)(
  "a reader that stops holds the program back, and not this process's memory",
  async () => {
    const { door, sandbox } = await openOracle();
    const stream = await open(door, sandbox, `/down?bytes=${500 * MIB}`);
    stream.once("readable", () => stream.read(1));
    let [before, now] = [-1, 0];
    while (before !== now) {
      before = now;
      await new Promise((resolve) => setTimeout(resolve, 300));
      now = (await countOf(door, sandbox)).sent;
    }
    expect(now).toBeGreaterThan(0);
    expect(now).toBeLessThan(32 * MIB);
    stream.destroy();
    await until(async () => (await countOf(door, sandbox)).aborted === 1);
  },
  60_000,
);

test.runIf(isRoot)(
  "whoever breaks off, the other side learns of it and no relay is left inside",
  async () => {
    const { door, sandbox } = await openOracle();
    const upload = request({
      host: "127.0.0.1",
      port: door.port,
      method: "POST",
      path: "/up",
      headers: { host: door.hostOf(sandbox, 3000), "content-length": "1000" },
    });
    upload.on("error", () => {});
    upload.write("half");
    await until(async () => (await countOf(door, sandbox)).got === 4);
    upload.destroy();
    await until(async () => (await countOf(door, sandbox)).aborted === 1);
    const torn = await open(door, sandbox, "/break");
    const complete = await new Promise((resolve) =>
      torn
        .resume()
        .on("close", () => resolve(torn.complete))
        .on("error", () => {}),
    );
    expect(complete).toBe(false);
    const early = await door.visit(sandbox, 3000, "/early", { method: "POST", body: Buffer.alloc(MIB) });
    expect([early.status, early.body]).toEqual([413, "too much"]);
    await until(async () => (await relaysIn(door, sandbox)) === 0);
  },
  60_000,
);

test.runIf(isRoot)(
  "a server on [::1] alone, and one on every address of IPv6, are reached",
  async () => {
    for (const host of ["::1", "::"]) {
      const { door, sandbox } = await openOracle({}, host);
      expect((await door.visit(sandbox, 3000)).body).toBe("hello");
      expect((await door.visit(sandbox, 3001)).status).toBe(502);
    }
  },
  60_000,
);

test.runIf(isRoot)(
  "ranges go through; redirects and cookies keep to their place by path, and to their host by name",
  async () => {
    const { door, sandbox } = await openOracle();
    const part = await door.visit(sandbox, 3000, "/range", { headers: { range: "bytes=2-4" } });
    expect([part.status, part.headers["content-range"], part.body]).toEqual([206, "bytes 2-4/10", "234"]);
    const below = `/p/${sandbox.id}/3000`;
    const to = async (target: string) => (await door.ask(`${below}/redirect?to=${encodeURIComponent(target)}`)).headers.location;
    expect(await to("/x?y=1")).toBe(`${below}/x?y=1`);
    expect(await to("http://localhost:3000/x")).toBe(`${below}/x`);
    expect(await to("x")).toBe("x");
    expect(await to("https://elsewhere.test/x")).toBe("https://elsewhere.test/x");
    expect((await door.ask(`${below}/cookie`)).headers["set-cookie"]).toEqual([
      `a=1; Path=${below}/x`,
      "b=2",
      `c=3; Path=${below}/; HttpOnly`,
    ]);
    expect((await door.visit(sandbox, 3000, "/cookie")).headers["set-cookie"]).toEqual(["a=1; Path=/x", "b=2", "c=3; Path=/; HttpOnly"]);
    expect((await door.visit(sandbox, 3000, "/redirect?to=/x")).headers.location).toBe("/x");
    const bare = await door.ask(`${below}?q=1`);
    expect([bare.status, bare.headers.location]).toEqual([308, `${below}/?q=1`]);
    const browser = await door.ask(`${below}/tell?a=1`, { headers: { accept: "text/html", host: `localhost:${door.port}` } });
    expect([browser.status, browser.headers.location]).toEqual([307, `//${door.hostOf(sandbox, 3000)}/tell?a=1`]);
    expect((await door.ask(`${below}/tell`)).headers["content-security-policy"]).toMatch(/^sandbox (?!.*allow-same-origin)/);
  },
  60_000,
);

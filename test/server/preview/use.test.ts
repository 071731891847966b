import { connect as connectHttp2 } from "node:http2";
import { request } from "node:http";
import { expect, test } from "vitest";
import type { Sandbox } from "../../../src/contract/index.ts";
import { listenWithTls } from "../../../src/main.ts";
import { portsOverExec } from "../../../src/providers/shared/ports-over-exec.ts";
import { until } from "../e2b/data-door.ts";
import { cookieOf, openPreview, pathOf, startServer, TENANT, untilOpen, type PreviewTestDoor } from "./preview-door.ts";
import { oracleOn } from "./programs.ts";

const isRoot = process.getuid?.() === 0;
const KEY_LIKE = /(?:sbx|e2b)_[0-9a-f]{40}/;

interface Told {
  method: string;
  url: string;
  headers: Record<string, string>;
}

async function openOracle(ports: object[], request = {}): Promise<{ door: PreviewTestDoor; sandbox: Sandbox }> {
  const door = await openPreview("local");
  const sandbox = await door.sandbox({ ports }, request);
  await startServer(door, sandbox, 3000, "oracle.mjs", oracleOn(3000));
  return { door, sandbox };
}

test.runIf(isRoot)(
  "a program inside sees neither keys nor tokens nor our cookies, but its own, and who asked",
  async () => {
    const { door, sandbox } = await openOracle([{ port: 3000, visibility: "token" }]);
    const opened = await door.visit(sandbox, 3000, pathOf(await door.address(sandbox, 3000)), { headers: { accept: "text/html" } });
    const e2b = door.key.replace("sbx", "e2b");
    const sent = {
      cookie: `a=1; ${cookieOf(opened)}; __Host-sbx_preview=x; b=2`, "x-own": "mine", "x-sandboxer-key": door.key, "x-api-key": e2b, "x-custom": `key ${door.key}`,
      authorization: `Bearer ${door.key}`, "e2b-traffic-access-token": "t", "x-forwarded-for": "6.6.6.6", "x-forwarded-host": "evil.test", forwarded: "for=6.6.6.6",
      "x-real-ip": "6.6.6.6", connection: "keep-alive, x-hop", "x-hop": "gone", te: "trailers", "proxy-authorization": "Basic eDp5",
      referer: `http://${door.hostOf(sandbox, 3000)}/?sbx_token=secret&q=1`,
    }; // prettier-ignore
    const answer = await door.visit(sandbox, 3000, "/tell?a=%20b&sbx_token=x&c", { headers: sent });
    const told = JSON.parse(answer.body) as Told;
    const host = door.hostOf(sandbox, 3000);
    expect(told.url).toBe("/tell?a=%20b&c");
    expect(told.headers).toEqual({
      host, cookie: "a=1; b=2", "x-own": "mine", referer: `http://${host}/?q=1`, connection: "keep-alive",
      "x-forwarded-for": "127.0.0.1", "x-forwarded-host": host, "x-forwarded-proto": "http",
    }); // prettier-ignore
    expect(answer.body).not.toMatch(KEY_LIKE);
    // A key in its own header leaves Authorization to the program.
    const own = await door.visit(sandbox, 3000, "/tell", { headers: { "x-sandboxer-key": door.key, authorization: "Basic dTpw" } });
    expect((JSON.parse(own.body) as Told).headers["authorization"]).toBe("Basic dTpw");
    const below = JSON.parse((await door.ask(`/p/${sandbox.id}/3000/tell`, { headers: { "x-sandboxer-key": door.key } })).body) as Told;
    expect([below.url, below.headers["host"], below.headers["x-forwarded-prefix"]]).toEqual([
      "/tell",
      "localhost:3000",
      `/p/${sandbox.id}/3000`,
    ]);
  },
  60_000,
);

test.runIf(isRoot)(
  "traffic keeps a sandbox from idling out, also while a program thinks; signs of life alone do not",
  async () => {
    const { door, sandbox } = await openOracle([{ port: 3000, visibility: "public" }], { idle: 3600 });
    const { engine } = door.opened;
    const lastActive = async (): Promise<number> => Date.parse((await engine.get(TENANT, sandbox.id)).last_active_at);
    const settled = async (): Promise<number> => {
      // Beyond what is written at once: a use is written when the last is a second old.
      await new Promise((resolve) => setTimeout(resolve, 1200));
      await engine.sweep();
      return lastActive();
    };
    const stream = (path: string) => {
      const asked = request({ host: "127.0.0.1", port: door.port, path, headers: { host: door.hostOf(sandbox, 3000) } }, (answer) =>
        answer.resume(),
      );
      asked.on("error", () => {});
      asked.end();
      return asked;
    };
    for (const [path, moves] of [
      ["/events", true],
      ["/events?quiet", false],
      ["/slow?ms=4000", true],
    ] as const) {
      const open = stream(path);
      const first = await settled();
      const second = await settled();
      expect([path, second > first]).toEqual([path, moves]);
      open.destroy();
      await settled();
    }
    const { WebSocket } = await import("ws");
    const socket = new WebSocket(`ws://127.0.0.1:${door.port}/pinging`, { headers: { host: door.hostOf(sandbox, 3000) } });
    let pings = 0;
    socket.on("ping", () => pings++);
    await until(() => pings > 2);
    const first = await settled();
    const at = pings;
    expect(await settled()).toBe(first);
    expect(pings).toBeGreaterThan(at);
    socket.send("said");
    expect(await settled()).toBeGreaterThan(first);
    socket.terminate();
  },
  60_000,
);

test.runIf(isRoot)(
  "over TLS a port is reached by HTTP/2, and its cookie is for that host alone",
  async () => {
    const door = await openPreview("local", { e2b: { domain: "sbx.test", tls: { port: 0 } } });
    const sandbox = await door.sandbox({ ports: [{ port: 3000, visibility: "token" }] });
    await startServer(door, sandbox, 3000, "oracle.mjs", oracleOn(3000));
    const tls = await listenWithTls(door.opened, door.server);
    const port = Number(tls?.domain.split(":")[1]);
    const address = await door.address(sandbox, 3000, { path: "/tell" });
    expect(new URL(address.url).origin).toBe(`https://3000-${sandbox.id}.sbx.test:${port}`);
    const session = connectHttp2(`https://127.0.0.1:${port}`, { rejectUnauthorized: false });
    const ask = (headers: Record<string, string>, body?: Buffer) =>
      new Promise<{ headers: Record<string, unknown>; text: string }>((resolve, reject) => {
        const stream = session.request(
          { ":authority": `3000-${sandbox.id}.sbx.test:${port}`, ...headers },
          { endStream: body === undefined },
        );
        let head: Record<string, unknown> = {};
        let text = "";
        stream.on("response", (answered) => (head = { ...answered }));
        stream.on("data", (piece: Buffer) => (text += piece.toString()));
        stream.on("end", () => resolve({ headers: head, text })).on("error", reject);
        if (body !== undefined) stream.end(body);
      });
    const opened = await ask({ ":path": pathOf(address), accept: "text/html" });
    expect([opened.headers[":status"], opened.headers["location"]]).toEqual([303, "/tell"]);
    const [cookie = ""] = opened.headers["set-cookie"] as string[];
    expect(cookie).toMatch(/^__Host-sbx_preview=[\w.-]+; Path=\/; Max-Age=\d+; HttpOnly; SameSite=Lax; Secure$/);
    const told = JSON.parse((await ask({ ":path": "/tell", cookie: cookie.split(";")[0] ?? "" })).text) as Told;
    expect(told.headers).toMatchObject({ "x-forwarded-proto": "https", host: `3000-${sandbox.id}.sbx.test:${port}` });
    expect(Object.keys(told.headers)).not.toContain("cookie");
    const up = await ask(
      { ":method": "DELETE", ":path": "/up", origin: new URL(address.url).origin, cookie: cookie.split(";")[0] ?? "" },
      Buffer.alloc(200_000),
    );
    expect(JSON.parse(up.text)).toMatchObject({ bytes: 200_000, framing: [null, "chunked"] });
    session.close();
  },
  60_000,
);

test.runIf(isRoot)(
  "what a request takes longer through the server than straight into the sandbox",
  async () => {
    const { door, sandbox } = await openOracle([{ port: 3000, visibility: "public" }]);
    const { ports } = door.opened.engine;
    const direct = async (): Promise<number> => {
      const began = performance.now();
      const { stream } = await ports.connect(TENANT, sandbox.id, 3000);
      await new Promise<void>((resolve, reject) => {
        const asked = request({ createConnection: () => stream, path: "/" }, (answer) => answer.resume().on("end", resolve));
        asked.on("error", reject).end();
      });
      return performance.now() - began;
    };
    const through = async (method: string): Promise<number> => {
      const began = performance.now();
      expect((await door.visit(sandbox, 3000, "/", { method })).status).toBe(200);
      return performance.now() - began;
    };
    const ways = { direct, kept: () => through("GET"), fresh: () => through("PUT") };
    const times: Record<keyof typeof ways, number[]> = { direct: [], kept: [], fresh: [] };
    // By turns, so that what else the machine does falls on all alike.
    for (let i = 0; i < 201; i++) for (const way of ["direct", "kept", "fresh"] as const) times[way].push(await ways[way]());
    const median = (way: keyof typeof ways): number => times[way].slice(1).sort((a, b) => a - b)[100] ?? 0;
    const figures = { direct: median("direct"), kept: median("kept"), fresh: median("fresh") };
    console.log(
      `preview latency, medians of 200: straight ${figures.direct.toFixed(2)} ms, through the server ${figures.kept.toFixed(2)} ms over a kept connection, ${figures.fresh.toFixed(2)} ms over a new one`,
    );
    expect(Object.values(figures).every((ms) => ms > 0)).toBe(true);
  },
  60_000,
);

test.runIf(isRoot)(
  "a backend that has commands alone reaches ports by them: bytes both ways, a closed port, and nothing left",
  async () => {
    const { door, sandbox } = await openOracle([{ port: 3000 }]);
    const { engine, log } = door.opened;
    let running = 0;
    const ports = portsOverExec({
      busybox: "/.sandboxer/busybox",
      async *exec(_ref, { run }, options, { signal }) {
        running++;
        try {
          const argv = "argv" in run ? [...run.argv] : [];
          const { events } = await engine.exec(TENANT, sandbox.id, { argv, ...options }, signal);
          yield* events;
        } finally {
          running--;
        }
      },
    });
    const ref = { id: sandbox.id, tenant: "acme", generation: 1, native: "", maxLifeAt: 0 };
    const op = { signal: new AbortController().signal, log };
    const stream = await ports.connect(ref, 3000, op);
    const body = Buffer.alloc(3_000_000, "x");
    const text = await new Promise<string>((resolve, reject) => {
      const asked = request(
        { createConnection: () => stream, path: "/up", method: "POST", headers: { "content-length": body.length } },
        (answer) => {
          let all = "";
          answer.on("data", (piece: Buffer) => (all += piece.toString())).on("end", () => resolve(all));
        },
      );
      asked.on("error", reject).end(body);
    });
    expect(JSON.parse(text)).toMatchObject({ bytes: body.length });
    await expect(ports.connect(ref, 3001, op)).rejects.toMatchObject({ code: "not_found" });
    const open = await ports.connect(ref, 3000, op);
    open.destroy();
    await until(() => running === 0);
    await startServer(door, sandbox, 3002, "six.mjs", oracleOn(3002, "::1"));
    await untilOpen(door.opened, sandbox, 3002);
    (await ports.connect(ref, 3002, op)).destroy();
    await until(() => running === 0);
  },
  60_000,
);

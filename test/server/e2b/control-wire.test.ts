import { connect as connectHttp2 } from "node:http2";
import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { raw } from "../door.ts";
import { FakeControl } from "../../../src/providers/fake/index.ts";
import { openE2bDoor, SDKS } from "./e2b-door.ts";

interface Body {
  code: number;
  message: string;
}

const bodyOf = async (response: Response): Promise<Body> => (await response.json()) as Body;
const post = (body: unknown): RequestInit => ({ method: "POST", body: JSON.stringify(body) });
const made = async (response: Response): Promise<Record<string, string>> => {
  expect(response.status).toBe(201);
  return (await response.json()) as Record<string, string>;
};

test("both generations of paths make the same kind of sandbox", async () => {
  const door = await openE2bDoor();
  for (const path of ["/sandboxes", "/v2/sandboxes"]) {
    const sandbox = await made(await door.call(path, post({ templateID: "base", timeout: 60 })));
    expect(Object.keys(sandbox).toSorted()).toEqual(["clientID", "domain", "envdAccessToken", "envdVersion", "sandboxID", "templateID"]);
    expect(sandbox["envdVersion"]).toBe("0.6.4");
    expect(sandbox["domain"]).toBe(`localhost:${new URL(door.url).port}`);
    for (const prefix of ["", "/v2"]) {
      const connected = await door.call(`${prefix}/sandboxes/${sandbox["sandboxID"]}/connect`, post({ timeout: 60 }));
      expect(connected.status).toBe(200);
      expect(await connected.json()).toEqual(sandbox);
    }
  }
});

test("internet that an older SDK asks for unasked is no wish; asked for in the new form it is refused", async () => {
  const door = await openE2bDoor();
  await made(await door.call("/sandboxes", post({ templateID: "base", secure: true, allow_internet_access: true, autoPause: false })));
  await made(await door.call("/v2/sandboxes", post({ templateID: "base", allow_internet_access: false, network: null })));
  const refused = await door.call("/v2/sandboxes", post({ templateID: "base", allow_internet_access: true }));
  expect(refused.status).toBe(400);
  expect(await bodyOf(refused)).toMatchObject({ code: 400, message: expect.stringContaining("allow_internet_access") as string });
});

test("a bad request is a 400 that names the field, and makes nothing", async () => {
  const door = await openE2bDoor();
  const bodies: [unknown, string][] = [
    [{ timeout: -1 }, "timeout"],
    [{ timeout: 1.5 }, "timeout"],
    [{ timeout: 0 }, "timeout"],
    [{ timeout: 1e12 }, "timeout"],
    [{ templateID: 5 }, "templateID"],
    [{ metadata: { a: 1 } }, "metadata.a"],
    [{ envVars: { "A=B": "x" } }, "envVars"],
    [{ templateId: "base" }, "templateID"],
    [{ secure: false }, "secure"],
    [{ network: { httpsPorts: [3000] } }, "network.httpsPorts"],
    [{ network: { maskRequestHost: "x" } }, "network.maskRequestHost"],
    [{ network: { egressProxy: { address: "p:1" } } }, "network.egressProxy"],
    [{ iam: { tokens: { a: {} } } }, "iam"],
    [[], "object"],
  ];
  for (const [body, named] of bodies) {
    const answer = await door.call("/v2/sandboxes", post(body));
    expect([named, answer.status]).toEqual([named, 400]);
    expect((await bodyOf(answer)).message).toContain(named);
  }
  expect((await door.call("/v2/sandboxes", { method: "POST", body: "{" })).status).toBe(400);
  expect((await door.call("/v2/sandboxes", { method: "POST", body: '{"__proto__":{}}' })).status).toBe(400);
  for (const query of [
    "limit=0",
    "limit=101",
    "limit=x",
    "state=gone",
    "order=up",
    "nextToken=x",
    "startedAfter=x",
    "metadata=a%3D%2525ZZ",
  ]) {
    expect([query, (await door.call(`/v2/sandboxes?${query}`)).status]).toEqual([query, 400]);
  }
  expect(await (await door.call("/v2/sandboxes")).json()).toEqual([]);
});

test("errors have E2B's form; unknown paths and methods too; our own API keeps its own", async () => {
  const door = await openE2bDoor();
  const expectCode = async (answer: Response, code: number): Promise<void> => {
    expect(answer.status).toBe(code);
    expect(await answer.json()).toEqual({ code, message: expect.any(String) as string });
    expect(answer.headers.get("x-request-id")).toMatch(/^rq/);
  };
  await expectCode(await fetch(`${door.url}/v2/sandboxes`), 401);
  await expectCode(await door.call("/v2/sandboxes", { headers: { "x-api-key": "sbx_0" } }), 401);
  await expectCode(await door.call("/sandboxes/nonsense"), 404);
  await expectCode(await door.call("/nowhere"), 404);
  await expectCode(await door.call("/sandboxes", { method: "PUT" }), 405);
  for (const path of ["/volumes", "/secrets", "/v3/templates", "/volumecontent/a/dir"])
    await expectCode(await door.call(path, post({})), 400);
  const { sandboxID } = await made(await door.call("/sandboxes", post({})));
  for (const action of ["snapshots", "fork"]) {
    await expectCode(await door.call(`/sandboxes/${sandboxID}/${action}`, post({})), 400);
    await expectCode(await door.call(`/sandboxes/sb0000000000000000000000/${action}`, post({})), 404);
  }
  expect((await door.call(`/sandboxes/${sandboxID}/refreshes`, post({ duration: 600 }))).status).toBe(204);
  expect((await door.call(`/sandboxes/${sandboxID}`, { method: "DELETE" })).status).toBe(204);
  await expectCode(await door.call(`/sandboxes/${sandboxID}`, { method: "DELETE" }), 404);
  expect(await (await fetch(`${door.url}/v1/sandboxes`)).json()).toMatchObject({ error: { code: "unauthorized" } });
  expect((await fetch(`${door.url}/health`)).status).toBe(200);
});

test("aliases tell which templates there are", async () => {
  const door = await openE2bDoor();
  expect(await (await door.call("/templates/aliases/python")).json()).toEqual({ templateID: "python:1", public: true });
  expect((await door.call("/templates/aliases/base")).status).toBe(200);
  expect((await door.call("/templates/aliases/nothing")).status).toBe(404);
});

test("a full server answers 429 with whole seconds in Retry-After", async () => {
  const door = await openE2bDoor({ limits: { max_sandboxes: 1 } });
  await made(await door.call("/sandboxes", post({})));
  const answer = await door.call("/v2/sandboxes", post({}));
  expect(answer.status).toBe(429);
  expect(answer.headers.get("retry-after")).toMatch(/^[1-9]\d*$/);
  expect(await bodyOf(answer)).toMatchObject({ code: 429 });
});

test("the newest SDK waits and tries again where a backend is at its rate limit; an older one tells its user", async () => {
  const [{ Sandbox }, older] = SDKS;
  const options = { isolation: "container", faults: [{ on: "create", kind: "rate_limit", times: 1 }] };
  const door = await openE2bDoor({ backends: [{ name: "memory", provider: "fake", options }] });
  const connection = await door.connection();
  const sandbox = await Sandbox.create(connection);
  expect((await sandbox.getInfo()).state).toBe("running");
  expect(await Sandbox.list(connection).nextItems()).toHaveLength(1);
  const again = await openE2bDoor({ backends: [{ name: "memory", provider: "fake", options }] });
  await expect(older.Sandbox.create(await again.connection())).rejects.toMatchObject({ name: "RateLimitError" });
});

test("a backend that cannot be asked is never taken for a sandbox that is gone", async () => {
  const control = new FakeControl();
  const door = await openE2bDoor({ backends: [{ name: "memory", provider: "fake", options: { isolation: "container", control } }] });
  const { sandboxID } = await made(await door.call("/sandboxes", post({})));
  control.addFault({ on: "destroy", kind: "fail", times: 1 });
  const failed = await door.call(`/sandboxes/${sandboxID}`, { method: "DELETE" });
  expect(failed.status).toBe(503);
  expect(failed.headers.get("retry-after")).toMatch(/^[1-9]\d*$/);
  expect((await door.call(`/sandboxes/${sandboxID}`, { method: "DELETE" })).status).toBe(204);
  expect((await door.call(`/sandboxes/${sandboxID}`, { method: "DELETE" })).status).toBe(404);
});

test("a sandbox that the operator's floor would end earlier than asked is refused, and nothing stays", async () => {
  const door = await openE2bDoor({ floor: { ttl: 60 } });
  const answer = await door.call("/v2/sandboxes", post({ timeout: 300 }));
  expect(answer.status).toBe(400);
  expect((await bodyOf(answer)).message).toContain("timeout cannot be greater than 60 seconds");
  expect(await (await door.call("/v2/sandboxes")).json()).toEqual([]);
  await made(await door.call("/v2/sandboxes", post({ timeout: 60 })));
});

test("a loopback listener answers to no strange name", async () => {
  const door = await openE2bDoor();
  const { port } = new URL(door.url);
  const ask = (host: string): Promise<string> =>
    raw(Number(port), `GET /v2/sandboxes HTTP/1.1\r\nhost: ${host}\r\nx-api-key: none\r\nconnection: close\r\n\r\n`);
  expect(await ask("evil.test")).toMatch(/^HTTP\/1.1 403 /);
  expect(await ask(`api.localhost:${port}`)).toMatch(/^HTTP\/1.1 401 /);
});

test("with a development certificate, wildcard names and TLS work over HTTP/2 and HTTP/1.1", async () => {
  const { listenWithTls, serverOver } = await import("../../../src/main.ts");
  const door = await openE2bDoor({ e2b: { domain: "sbx.test", tls: { port: 0 } } });
  const server = await serverOver(door.opened);
  try {
    const tls = await listenWithTls(door.opened, server);
    expect(tls?.domain).toMatch(/^sbx\.test:\d+$/);
    const port = Number(tls?.domain.split(":")[1]);
    const ca = await readFile(tls?.authority ?? "");
    const { apiKey } = await door.connection();
    const session = connectHttp2(`https://api.sbx.test:${port}`, {
      ca,
      lookup: (_name, _options, found) => found(null, [{ address: "127.0.0.1", family: 4 }]),
    });
    const ask = (headers: Record<string, string>, body?: string): Promise<{ status: number; text: string }> =>
      new Promise((resolve, reject) => {
        const stream = session.request(headers);
        let status = 0;
        let text = "";
        stream.on("response", (got) => (status = Number(got[":status"])));
        stream.setEncoding("utf8").on("data", (piece: string) => (text += piece));
        stream.on("end", () => resolve({ status, text })).on("error", reject);
        stream.end(body);
      });
    const answer = await ask(
      { ":method": "POST", ":path": "/v2/sandboxes", "x-api-key": apiKey, "content-type": "application/json" },
      "{}",
    );
    expect(answer.status).toBe(201);
    const sandbox = JSON.parse(answer.text) as Record<string, string>;
    expect(sandbox["domain"]).toBe(tls?.domain);
    const authority = `49983-${sandbox["sandboxID"]}.sbx.test:${port}`;
    expect((await ask({ ":authority": authority, ":path": "/health" })).status).toBe(401);
    expect((await ask({ ":authority": authority, ":path": "/health", "x-access-token": sandbox["envdAccessToken"] ?? "" })).status).toBe(
      204,
    );
    expect((await ask({ ":path": "/v1/sandboxes", authorization: `Bearer ${apiKey.replace("e2b_", "sbx_")}` })).status).toBe(200);
    session.close();
    const { request } = await import("node:https");
    const plain = await new Promise<number>((resolve, reject) => {
      const asked = request(
        {
          host: "127.0.0.1",
          port,
          servername: "api.sbx.test",
          ca,
          path: "/v2/sandboxes",
          headers: { host: `api.sbx.test:${port}`, "x-api-key": apiKey },
        },
        (got) => {
          got.resume();
          resolve(got.statusCode ?? 0);
        },
      );
      asked.on("error", reject).end();
    });
    expect(plain).toBe(200);
  } finally {
    await server.close();
  }
});

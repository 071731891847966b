import type { ServerResponse } from "node:http";
import { expect, test } from "vitest";
import { SandBoxer } from "../../src/sdk/index.ts";
import { serverLike } from "./server-like.ts";

function refuse(response: ServerResponse, code: string, status: number, retryAfter?: number): void {
  const error = {
    code,
    message: `it is ${code}`,
    hint: "h",
    retryable: true,
    ...(retryAfter === undefined ? {} : { retry_after: retryAfter }),
  };
  response.writeHead(status, { "content-type": "application/json", "x-request-id": "rq1" }).end(JSON.stringify({ error }));
}

function answer(response: ServerResponse, body: object): void {
  response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(body));
}

test("a create is sent again with the same idempotency key, so that it cannot make two", async () => {
  const keys: unknown[] = [];
  const url = await serverLike((request, response, attempt) => {
    keys.push(request.headers["idempotency-key"]);
    if (attempt < 3) refuse(response, "backend_unavailable", 503);
    else answer(response, { id: "sb1" });
  });
  const sandbox = await new SandBoxer({ url }).create();
  expect(sandbox.id).toBe("sb1");
  expect(keys).toHaveLength(3);
  expect(new Set(keys).size).toBe(1);
  expect(keys[0]).toMatch(/^[0-9a-f-]{36}$/);
});

test("a create whose connection breaks is sent again", async () => {
  const url = await serverLike((_request, response, attempt) => (attempt === 1 ? response.destroy() : answer(response, { id: "sb1" })));
  expect((await new SandBoxer({ url }).create()).id).toBe("sb1");
});

test("retries are bounded, and the last error is given out with its code, hint and request id", async () => {
  let calls = 0;
  const url = await serverLike((_request, response) => {
    calls++;
    refuse(response, "backend_rate_limited", 429, 0.01);
  });
  await expect(new SandBoxer({ url }).backends()).rejects.toMatchObject({
    code: "backend_rate_limited",
    message: "it is backend_rate_limited",
    hint: "h",
    retryable: true,
    requestId: "rq1",
  });
  expect(calls).toBe(4);
});

test("Retry-After is waited for", async () => {
  const at: number[] = [];
  const url = await serverLike((_request, response, attempt) => {
    at.push(performance.now());
    if (attempt === 1) refuse(response, "backend_rate_limited", 429, 0.3);
    else answer(response, { data: [] });
  });
  expect(await new SandBoxer({ url }).backends()).toEqual([]);
  expect((at[1] ?? 0) - (at[0] ?? 0)).toBeGreaterThanOrEqual(295);
});

test("a server that asks for more patience than is sensible gets its error passed on", async () => {
  let calls = 0;
  const url = await serverLike((_request, response) => {
    calls++;
    refuse(response, "quota_exceeded", 429, 3600);
  });
  await expect(new SandBoxer({ url }).create()).rejects.toMatchObject({ code: "quota_exceeded" });
  expect(calls).toBe(1);
});

test("what is neither a read nor a create is never sent twice", async () => {
  const calls: string[] = [];
  const url = await serverLike((request, response) => {
    calls.push(`${request.method} ${request.url}`);
    if (request.method === "GET") answer(response, { id: "sb1" });
    else refuse(response, "backend_unavailable", 503);
  });
  const sandbox = await new SandBoxer({ url }).connect("sb1");
  await expect(Promise.resolve(sandbox.exec("true"))).rejects.toMatchObject({ code: "backend_unavailable" });
  await expect(sandbox.files.write("a", "b")).rejects.toMatchObject({ code: "backend_unavailable" });
  await expect(sandbox.destroy()).rejects.toMatchObject({ code: "backend_unavailable" });
  expect(calls).toEqual([
    "GET /v1/sandboxes/sb1",
    "POST /v1/sandboxes/sb1/exec",
    "PUT /v1/sandboxes/sb1/files?path=a",
    "DELETE /v1/sandboxes/sb1",
  ]);
});

test("a page of a proxy's is an error by its status that shows the page's beginning", async () => {
  const url = await serverLike(
    (_request, response) => void response.writeHead(502, { "content-type": "text/html" }).end("<html>Bad Gateway"),
  );
  const client = new SandBoxer({ url });
  await expect(client.keys.create({ name: "x" })).rejects.toMatchObject({
    code: "backend_unavailable",
    message: expect.stringContaining("<html>Bad Gateway"),
  });
});

test("nobody listening is backend_unavailable, and names the address and the next step", async () => {
  const client = new SandBoxer({ url: "http://127.0.0.1:1" });
  await expect(client.keys.create({ name: "x" })).rejects.toMatchObject({
    code: "backend_unavailable",
    message: expect.stringContaining("127.0.0.1:1"),
    hint: expect.stringContaining("sand-boxer serve"),
  });
});

test("an answer that does not begin in time is timeout", async () => {
  const url = await serverLike(() => {});
  await expect(new SandBoxer({ url, timeoutMs: 50 }).backends()).rejects.toMatchObject({ code: "timeout" });
});

test("the environment gives the url and the key where none is given", async () => {
  let authorization: string | undefined;
  const url = await serverLike((request, response) => {
    ({ authorization } = request.headers);
    answer(response, { data: [] });
  });
  const { SANDBOXER_URL, SANDBOXER_API_KEY } = process.env;
  try {
    process.env["SANDBOXER_URL"] = url;
    process.env["SANDBOXER_API_KEY"] = "sbx_test";
    await new SandBoxer().backends();
  } finally {
    for (const [name, value] of Object.entries({ SANDBOXER_URL, SANDBOXER_API_KEY })) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  }
  expect(authorization).toBe("Bearer sbx_test");
});

import { connect } from "node:net";
import { describe, expect, it } from "vitest";
import { errorOf, eventually, openDoor, raw, readUntil } from "./door.ts";

const authorized = (key: string) => `Host: localhost\r\nAuthorization: Bearer ${key}\r\n`;

describe("a connection", () => {
  it("with huge headers is answered 431 in our error form", async () => {
    const { port } = await openDoor();
    const answer = await raw(port, `GET /health HTTP/1.1\r\nHost: localhost\r\nX-Big: ${"x".repeat(40_000)}\r\n\r\n`);
    expect(answer).toMatch(/^HTTP\/1\.1 431 /);
    expect(answer).toContain('"code":"headers_too_large"');
  });

  it("that sends its headers too slowly is answered 408 and closed", async () => {
    const { port } = await openDoor({ headersTimeoutMs: 100 });
    const answer = await raw(port, "GET /health HTTP/1.1\r\nHost: loc");
    expect(answer).toMatch(/^HTTP\/1\.1 408 /);
    expect(answer).toContain('"code":"request_timeout"');
  });

  it("that stops in the middle of a JSON body is answered 408 and closed", async () => {
    const { port, key, tiny } = await openDoor({ bodyTimeoutMs: 100 });
    const answer = await raw(
      port,
      `POST /v1/sandboxes HTTP/1.1\r\n${authorized(key)}Content-Type: application/json\r\nContent-Length: 20\r\n\r\n{"name"`,
    );
    expect(answer).toMatch(/^HTTP\/1\.1 408 /);
    expect(tiny.seen.creates).toBe(0);
  });

  it("that dribbles a JSON body is cut off at the deadline though it never stalls", async () => {
    const { port, key, tiny } = await openDoor({ bodyTimeoutMs: 150 });
    const socket = connect(port, "127.0.0.1");
    socket.write(`POST /v1/sandboxes HTTP/1.1\r\n${authorized(key)}Content-Type: application/json\r\nContent-Length: 100000\r\n\r\n`);
    const dribble = setInterval(() => socket.write(" "), 20);
    socket.on("error", () => clearInterval(dribble));
    const answer = await readUntil(socket, "request_timeout");
    clearInterval(dribble);
    socket.destroy();
    expect(answer).toMatch(/^HTTP\/1\.1 408 /);
    expect(tiny.seen.creates).toBe(0);
  });

  it("that stalls in the middle of an upload is answered 408, and the upload fails", async () => {
    const { port, key, tiny } = await openDoor({ uploadIdleMs: 100 });
    const { id } = tiny.sandbox("acme");
    const answer = await raw(port, `PUT /v1/sandboxes/${id}/files?path=a HTTP/1.1\r\n${authorized(key)}Content-Length: 20\r\n\r\nabc`);
    expect(answer).toMatch(/^HTTP\/1\.1 408 /);
    expect(tiny.files.has("a")).toBe(false);
  });

  it("that breaks off in the middle of an upload leaves no file", async () => {
    const { port, key, tiny, log } = await openDoor();
    const { id } = tiny.sandbox("acme");
    const socket = connect(port, "127.0.0.1");
    socket.write(`PUT /v1/sandboxes/${id}/files?path=a HTTP/1.1\r\n${authorized(key)}Content-Length: 20\r\n\r\nabc`);
    await eventually(() => tiny.seen.uploadedBytes === 3);
    socket.destroy();
    await eventually(() => tiny.seen.tornUploads === 1 && log.some(({ fields }) => fields["status"] === 499));
    expect(tiny.files.has("a")).toBe(false);
  });

  it("that does not speak HTTP is answered 400 in our error form", async () => {
    const { port } = await openDoor();
    const answer = await raw(port, "\x16\x03\x01 hello\r\n\r\n");
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
    expect(answer).toContain('"code":"invalid_request"');
  });

  it("without a Host, or with one that is none, is answered 400 in our error form", async () => {
    const { port } = await openDoor();
    for (const head of [
      "GET /health HTTP/1.1\r\n",
      "GET /health HTTP/1.0\r\n",
      "GET /health HTTP/1.1\r\nHost: a/b\r\n",
      "GET \\\\x HTTP/1.1\r\nHost: localhost\r\n",
    ]) {
      const answer = await raw(port, `${head}Connection: close\r\n\r\n`);
      expect(answer).toMatch(/^HTTP\/1\.1 400 /);
      expect(answer).toContain('"code":"invalid_request"');
    }
  });

  it("with both a length and chunks is refused", async () => {
    const { port, key } = await openDoor();
    const answer = await raw(
      port,
      `POST /v1/sandboxes HTTP/1.1\r\n${authorized(key)}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /health HTTP/1.1\r\nHost: localhost\r\n\r\n`,
    );
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
    expect(answer.match(/HTTP\/1\.1/g)).toHaveLength(1);
  });

  it("that asks to upgrade to HTTP/2 is answered over HTTP/1.1", async () => {
    const { port } = await openDoor();
    const answer = await raw(
      port,
      "GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n",
    );
    expect(answer).toMatch(/^HTTP\/1\.1 200 /);
  });

  it("is kept and used again after an error", async () => {
    const { port, key } = await openDoor();
    const bad = `POST /v1/sandboxes HTTP/1.1\r\n${authorized(key)}Content-Type: application/json\r\nContent-Length: 1\r\n\r\n{`;
    const answer = await raw(port, `${bad}GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`);
    expect(answer.match(/HTTP\/1\.1 \d+/g)).toEqual(["HTTP/1.1 400", "HTTP/1.1 200"]);
  });
});

describe("the Host header on a loopback listener", () => {
  it("must be a name of this machine, on every route", async () => {
    const { port, key } = await openDoor();
    const ask = (path: string, host: string) =>
      raw(port, `GET ${path} HTTP/1.1\r\nHost: ${host}\r\nAuthorization: Bearer ${key}\r\nConnection: close\r\n\r\n`);
    for (const host of ["evil.test", `evil.test:${port}`, "127.0.0.1.evil.test", "localhost.evil.test", "10.0.0.1", "[::2]"]) {
      for (const path of ["/health", "/docs", "/openapi.json", "/v1/sandboxes", "/nowhere"]) {
        const answer = await ask(path, host);
        expect(answer).toMatch(/^HTTP\/1\.1 403 /);
        expect(answer).toContain('"code":"forbidden"');
      }
    }
    for (const host of ["localhost", "LOCALHOST:1", "127.0.0.1", `127.0.0.1:${port}`, "[::1]", `[::1]:${port}`]) {
      expect(await ask("/health", host)).toMatch(/^HTTP\/1\.1 200 /);
    }
  });

  it("is not looked at where the listener is not on loopback", async () => {
    const { server } = await openDoor();
    const { port } = await server.listen({ host: "0.0.0.0", port: 0 });
    expect(await raw(port, "GET /health HTTP/1.1\r\nHost: sandbox.example.com\r\nConnection: close\r\n\r\n")).toMatch(/^HTTP\/1\.1 200 /);
  });
});

describe("a page of another origin", () => {
  it("gets no CORS headers, not even for a preflight", async () => {
    const door = await openDoor();
    const headers = { origin: "https://evil.test", "access-control-request-method": "POST" };
    for (const response of [
      await door.call("/v1/sandboxes", { headers }),
      await door.call("/v1/sandboxes", { method: "OPTIONS", headers }),
    ]) {
      expect([...response.headers.keys()].filter((name) => name.startsWith("access-control"))).toEqual([]);
    }
  });
});

describe("the access log", () => {
  it("has a line for every answer, without keys, queries or bodies", async () => {
    const door = await openDoor();
    const { id } = door.tiny.sandbox("acme");
    await (await door.json(`/v1/sandboxes/${id}/exec`, "POST", { argv: ["echo", "hush"], env: { TOKEN: "hush" } })).text();
    await (await door.call(`/v1/sandboxes/${id}/files/stat?path=hush`)).text();
    const refused = await errorOf(await door.call("/v1/sandboxes", { headers: { authorization: "Bearer sbx_hush" } }));
    await eventually(() => door.log.filter(({ message }) => message === "request").length === 3);
    const text = JSON.stringify(door.log);
    expect(text).not.toContain("hush");
    expect(text).not.toContain(door.key);
    expect(door.log.find(({ fields }) => fields["request_id"] === refused.request_id)?.fields).toMatchObject({
      method: "GET",
      path: "/v1/sandboxes",
      status: 401,
      code: "unauthorized",
    });
    expect(door.log[0]?.fields).toMatchObject({ tenant: "acme", path: `/v1/sandboxes/${id}/exec`, status: 200, complete: true });
  });
});

import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { Agent, request as httpsRequest } from "node:https";
import { connect as connectHttp2 } from "node:http2";
import { connect as connectTls } from "node:tls";
import { gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { compilePolicy } from "../../../../src/guard/egress/policy/index.ts";
import { openStage, secret, type Stage } from "./stage.ts";

const PLACEHOLDER = secret().binding.placeholder;

/** Says back what came. */
const echo: Parameters<typeof openStage>[0] = (request, response) => {
  const pieces: Buffer[] = [];
  request.on("data", (piece: Buffer) => pieces.push(piece));
  request.on("end", () =>
    response.end(
      JSON.stringify({ method: request.method, url: request.url, headers: request.headers, body: Buffer.concat(pieces).toString() }),
    ),
  );
};

const verdict = async (stage: Stage, count = 1) => {
  for (let round = 0; round < 200 && stage.verdicts.length < count; round++) await new Promise((resolve) => setTimeout(resolve, 10));
  return stage.verdicts.at(-1);
};

describe("a request that is looked into", () => {
  it("goes on with its own host, without what belongs to one connection, and is written down", async () => {
    await using stage = await openStage(echo);
    const { status, text } = await stage.ask(
      "/a/../b?q=1",
      { method: "POST", headers: { host: "api.test", "x-own": "1", connection: "x-hop", "x-hop": "1", te: "gzip" } },
      "body",
    );
    const seen = JSON.parse(text) as { url: string; headers: Record<string, string>; body: string };
    expect(status).toBe(200);
    expect(seen).toMatchObject({ url: "/b?q=1", body: "body", headers: { host: "api.test", "x-own": "1" } });
    expect(seen.headers).not.toHaveProperty("x-hop");
    expect(await verdict(stage)).toMatchObject({
      verdict: "allow",
      rule: "allow[0]",
      protocol: "https",
      method: "POST",
      path: "/b",
      host: "api.test",
      port: 443,
    });
    expect(stage.verdicts[0]?.bytes_up).toBeGreaterThan(4);
  });

  it.each(["HTTP/1.1", "HTTP/2"])("streams its body and its answer piece by piece, by %s", async (version) => {
    await using stage = await openStage((request, response) => void request.pipe(response));
    const heard: string[] = [];
    const stream = version === "HTTP/2" ? http2Stream(stage) : httpsStream(stage);
    for (const piece of ["one", "two", "three"]) {
      const answer = stream.next();
      stream.write(piece);
      heard.push(await answer);
    }
    stream.end();
    expect(heard).toEqual(["one", "two", "three"]);
  });

  it("keeps trailers", async () => {
    await using stage = await openStage((request, response) => {
      request.resume().once("end", () => {
        response.writeHead(200, { trailer: "x-sum" });
        response.addTrailers({ "x-sum": "42" });
        response.end("text");
      });
    });
    expect(await stage.ask("/")).toMatchObject({ text: "text", trailers: { "x-sum": "42" } });
  });

  it("waits with its body where the client waits for a word (100-continue)", async () => {
    await using stage = await openStage(echo);
    const request = httpsRequest({
      host: "127.0.0.1",
      port: stage.port,
      path: "/",
      method: "POST",
      servername: "api.test",
      ca: stage.ca,
      headers: { host: "api.test", expect: "100-continue", "content-length": 5 },
    });
    request.flushHeaders();
    await once(request, "continue");
    request.end("hello");
    const [answer] = (await once(request, "response")) as [IncomingMessage];
    expect(answer.statusCode).toBe(200);
    answer.resume();
  });

  it.each([
    ["HEAD", 200],
    ["GET", 204],
    ["GET", 304],
  ])("%s with %i has no body and does not hang", async (method, status) => {
    await using stage = await openStage((_, response) => {
      response.writeHead(status, status === 200 ? { "content-length": "1000" } : {});
      response.end();
    });
    expect(await stage.ask("/", { method })).toMatchObject({ status, text: "" });
    expect((await stage.ask("/", { method })).status).toBe(status);
  });

  it("is denied in words or as JSON, with the rule to ask for, and nothing is sent", async () => {
    let reached = 0;
    await using stage = await openStage((_, response) => void response.end(String(reached++)), {
      allow: [{ host: "api.test", tls: "inspect", methods: ["GET"], paths: ["/repos/*"] }],
    });
    expect(await stage.ask("/repos/a")).toMatchObject({ status: 200 });
    const words = await stage.ask("/admin");
    expect(words.status).toBe(403);
    expect(words.text).toContain("/admin");
    const json = await stage.ask("/repos/a", { method: "DELETE", headers: { host: "api.test", accept: "application/json" } });
    expect(JSON.parse(json.text)).toMatchObject({ error: { code: "network_denied", reason: "method" } });
    for (const path of ["/repos/../admin", "/repos/%2e%2e/admin", "/repos/..%2fadmin", "/repos/%252e%252e/admin", "/repos/.%00./x"])
      expect((await stage.ask(path)).status, path).toBeGreaterThanOrEqual(400);
    expect(reached).toBe(1);
  });

  it("is asked for anew on a kept connection when the policy has changed", async () => {
    await using stage = await openStage(echo);
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    expect((await stage.ask("/", { agent })).status).toBe(200);
    stage.session.setPolicy(compilePolicy({ allow: [] }));
    expect((await stage.ask("/", { agent })).status).toBe(403);
    agent.destroy();
  });

  it("ends upstream when the client leaves", async () => {
    const left = Promise.withResolvers<void>();
    await using stage = await openStage((request, response) => {
      response.write("begun");
      request.once("close", () => left.resolve());
    });
    const request = httpsRequest({
      host: "127.0.0.1",
      port: stage.port,
      path: "/",
      servername: "api.test",
      ca: stage.ca,
      headers: { host: "api.test" },
    }).end();
    const [answer] = (await once(request, "response")) as [IncomingMessage];
    answer.once("error", () => {});
    request.destroy();
    await left.promise;
    expect(await verdict(stage)).toMatchObject({ verdict: "allow" });
  });

  it("names the client's TLS as the fault where that does not trust the sandbox's CA", async () => {
    await using stage = await openStage(echo);
    const socket = connectTls({ host: "127.0.0.1", port: stage.port, servername: "api.test" });
    await once(socket, "error");
    expect((await verdict(stage))?.detail).toContain("CA");
  });
});

describe("a secret", () => {
  it("is put into query, path and body where its binding says so, and its length is right", async () => {
    await using stage = await openStage(echo, { secrets: [secret({ replaceIn: ["query", "path", "body"] })] });
    const seen = JSON.parse((await stage.ask(`/p/${PLACEHOLDER}?k=${PLACEHOLDER}`, { method: "POST", headers: { host: "api.test", "content-type": "application/json" } }, `{"k":"${PLACEHOLDER}"}`)).text) as { url: string; body: string }; // prettier-ignore
    // What comes back is scrubbed, so the origin's word has the placeholder again: its length tells.
    expect(seen).toMatchObject({ url: `/p/${PLACEHOLDER}?k=${PLACEHOLDER}`, body: `{"k":"${PLACEHOLDER}"}` });
    expect(await verdict(stage)).toMatchObject({ verdict: "allow", secret: "TOKEN" });
  });

  it("of a body is refused elsewhere, also across the borders of pieces, and the origin gets no whole request", async () => {
    let whole = 0;
    await using stage = await openStage((request, response) => void request.resume().once("end", () => { whole++; response.end(); }), { secrets: [secret()] }); // prettier-ignore
    const stream = httpsStream(stage);
    const half = PLACEHOLDER.length >> 1;
    stream.write(`a=${PLACEHOLDER.slice(0, half)}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
    stream.write(PLACEHOLDER.slice(half));
    expect(await stream.status()).toBe(403);
    expect(whole).toBe(0);
    expect(await verdict(stage)).toMatchObject({ verdict: "deny", reason: "placeholder", secret: "TOKEN" });
  });

  it("that was removed denies what would need it", async () => {
    await using stage = await openStage(echo, { secrets: [{ ...secret(), value: "", revoked: true }] });
    expect(await stage.ask("/")).toMatchObject({ status: 403 });
  });

  it("is found in an answer that was compressed although nobody asked for that", async () => {
    await using stage = await openStage((request, response) => {
      response.writeHead(200, { "content-encoding": "gzip", "x-auth": request.headers.authorization });
      response.end(gzipSync(`you are ${request.headers.authorization}`));
    }, { secrets: [secret()] }); // prettier-ignore
    const { text, headers } = await stage.ask("/");
    expect(text).toBe(`you are Bearer ${PLACEHOLDER}`);
    expect(headers["x-auth"]).toBe(`Bearer ${PLACEHOLDER}`);
    expect(headers["content-encoding"]).toBeUndefined();
  });

  it("of git's form is put in for the placeholder inside Basic", async () => {
    let authorization: string | undefined;
    await using stage = await openStage((request, response) => {
      ({ authorization } = request.headers);
      response.end();
    }, { secrets: [secret({ inject: { type: "basic", username: "x-access-token" } })] }); // prettier-ignore
    const basic = Buffer.from(`me:${PLACEHOLDER}`).toString("base64");
    expect((await stage.ask("/", { headers: { host: "api.test", authorization: `Basic ${basic}` } })).status).toBe(200);
    expect(Buffer.from(authorization?.slice(6) ?? "", "base64").toString()).toBe("x-access-token:the-real-value");
  });
});

interface Stream {
  write(text: string): void;
  end(): void;
  next(): Promise<string>;
  status(): Promise<number>;
}

function httpsStream(stage: Stage): Stream {
  const request = httpsRequest({
    host: "127.0.0.1",
    port: stage.port,
    path: "/",
    method: "POST",
    servername: "api.test",
    ca: stage.ca,
    headers: { host: "api.test" },
  });
  const pieces = queue();
  const status = new Promise<number>((resolve) => request.once("response", (answer) => {
    answer.on("data", (piece: Buffer) => pieces.push(piece.toString()));
    resolve(answer.statusCode ?? 0);
  })); // prettier-ignore
  request.on("error", () => {});
  return { write: (text) => void request.write(text), end: () => void request.end(), next: pieces.next, status: () => status };
}

function http2Stream(stage: Stage): Stream {
  const session = connectHttp2("https://api.test", {
    createConnection: () =>
      connectTls({ host: "127.0.0.1", port: stage.port, servername: "api.test", ca: stage.ca, ALPNProtocols: ["h2"] }),
  });
  const stream = session.request({ ":method": "POST", ":path": "/" });
  const pieces = queue();
  stream.on("data", (piece: Buffer) => pieces.push(piece.toString()));
  const status = new Promise<number>((resolve) => stream.once("response", (headers) => resolve(Number(headers[":status"]))));
  return {
    write: (text) => void stream.write(text),
    end: () => void stream.end(() => session.close()),
    next: pieces.next,
    status: () => status,
  };
}

function queue(): { push: (text: string) => void; next: () => Promise<string> } {
  const waiting: ((text: string) => void)[] = [];
  const held: string[] = [];
  return {
    push(text) {
      const taker = waiting.shift();
      if (taker === undefined) held.push(text);
      else taker(text);
    },
    next: () => new Promise((resolve) => void (held.length > 0 ? resolve(held.shift() ?? "") : waiting.push(resolve))),
  };
}

import { expect, test } from "vitest";
import type { PortAddress, PortInfo, WireError } from "../../../src/contract/index.ts";
import { cookieOf, openPreview, pathOf, TENANT, type Answer } from "./preview-door.ts";

const NETWORK = { ports: [{ port: 3000 }, { port: 3001, visibility: "token" }, { port: 3002, visibility: "public" }] };
const PAGE = { accept: "text/html" };

async function openServed(config = {}) {
  const door = await openPreview("fake", config);
  const sandbox = await door.sandbox(NETWORK);
  await door.serve(sandbox, 3000, 3001, 3002, 3003);
  return { door, sandbox };
}

/** All that tells one answer from another, but for the request's own id. */
function told({ status, headers, body }: Answer) {
  const { "x-request-id": _id, date: _date, "content-length": _length, ...rest } = headers;
  return { status, headers: rest, body: body.replaceAll(/rq[0-9a-z]{22}/g, "rq") };
}

test("a public port answers anyone", async () => {
  const { door, sandbox } = await openServed();
  expect((await door.visit(sandbox, 3002, "/index")).body).toBe("hello\n");
});

test("an unpublished port, another tenant's, one that needs a key and a sandbox that never was answer alike", async () => {
  const { door, sandbox } = await openServed();
  const other = await door.keyFor("other");
  const viewer = await door.keyFor("acme", ["read"]);
  const nowhere = { ...sandbox, id: `${sandbox.id.slice(0, -1)}${sandbox.id.endsWith("0") ? "1" : "0"}` };
  const unpublished = told(await door.visit(sandbox, 3003));
  expect(unpublished.status).toBe(404);
  const alike = [
    door.visit(nowhere, 3000), door.visit(sandbox, 3000), door.visit(sandbox, 3001), door.visit(sandbox, 70_000),
    door.visit(sandbox, 3000, "/", { headers: { "x-sandboxer-key": other } }), door.visit(sandbox, 3003, "/", { headers: { "x-sandboxer-key": door.key } }),
    door.visit(sandbox, 3000, "/", { headers: { "x-sandboxer-key": viewer } }), door.visit(sandbox, 3000, "/", { headers: { authorization: "Bearer sbx_0" } }),
    door.visit(sandbox, 3001, "/?sbx_token=a.b.c.-.d.e"), door.ask(`/p/${nowhere.id}/3000/`), door.ask(`/p/${sandbox.id}/3003/`), door.ask(`/p/${sandbox.id}/3000/`),
  ]; // prettier-ignore
  for (const answer of await Promise.all(alike)) expect(told(answer)).toEqual(unpublished);
  await door.opened.engine.destroy(TENANT, sandbox.id);
  expect(told(await door.visit(sandbox, 3002, "/index"))).toEqual(unpublished);
});

test("a private port takes the tenant's key in three headers, and an admin's", async () => {
  const { door, sandbox } = await openServed();
  const admin = await door.keyFor("ops", ["admin"]);
  for (const headers of [
    { authorization: `Bearer ${door.key}` },
    { "x-api-key": door.key.replace("sbx", "e2b") },
    { "x-sandboxer-key": admin },
  ])
    expect((await door.visit(sandbox, 3000, "/index", { headers })).body).toBe("hello\n");
});

test("a private port's address opens one session in one browser, which a revoked key ends", async () => {
  const { door, sandbox } = await openServed();
  const { secret, key } = await door.opened.engine.keys.create({ ...TENANT, scopes: ["admin"] }, { name: "me" });
  const { body } = await door.call("POST", `/v1/sandboxes/${sandbox.id}/ports/3000/address`, { path: "/index?a=1" }, secret);
  const address = body as PortAddress;
  expect(address.once).toBe(true);
  const url = new URL(address.url);
  expect(url.host).toBe(door.hostOf(sandbox, 3000));
  const path = url.pathname + url.search;
  expect((await door.visit(sandbox, 3000, path, { method: "HEAD", headers: PAGE })).status).toBe(404);
  const opened = await door.visit(sandbox, 3000, path, { headers: PAGE });
  expect([opened.status, opened.headers.location]).toEqual([303, "/index?a=1"]);
  expect(opened.headers["set-cookie"]?.[0]).toMatch(/^sbx_preview=[\w.-]+; Path=\/; Max-Age=3[56]\d\d; HttpOnly; SameSite=Lax$/);
  expect((await door.visit(sandbox, 3000, path, { headers: PAGE })).status).toBe(404);
  const cookie = cookieOf(opened);
  expect((await door.visit(sandbox, 3000, "/index", { headers: { cookie } })).body).toBe("hello\n");
  expect((await door.visit(sandbox, 3001, "/index", { headers: { cookie } })).status).toBe(404);
  expect((await door.visit(await door.sandbox(NETWORK), 3000, "/index", { headers: { cookie } })).status).toBe(404);
  await door.opened.engine.keys.revoke({ ...TENANT, scopes: ["admin"] }, key.id);
  expect((await door.visit(sandbox, 3000, "/index", { headers: { cookie } })).status).toBe(404);
});

test("a one-time address that was used stays used after a restart of the server", async () => {
  const { door, sandbox } = await openServed();
  const address = await door.address(sandbox, 3000);
  const [, , , , nonce = ""] = (new URL(address.url).searchParams.get("sbx_token") ?? "").split(".");
  expect(await door.opened.engine.ports.redeem(nonce, Date.now() + 1000)).toBe(true);
  expect((await door.visit(sandbox, 3000, pathOf(address), { headers: PAGE })).status).toBe(404);
});

test("a token is for its sandbox and port, until it expires; every changed character voids it", async () => {
  const { door, sandbox } = await openServed();
  const path = pathOf(await door.address(sandbox, 3001, { ttl: "1h", path: "/index" }));
  const answer = await door.visit(sandbox, 3001, path);
  expect(answer.body).toBe("hello\n");
  expect((await door.visit(sandbox, 3001, path)).status).toBe(200);
  expect((await door.visit(sandbox, 3001, "/index", { headers: { cookie: cookieOf(answer) } })).body).toBe("hello\n");
  expect((await door.ask(`/p/${sandbox.id}/3001${path}`)).body).toBe("hello\n");
  const other = await door.sandbox({
    ports: [
      { port: 3001, visibility: "token" },
      { port: 3000, visibility: "token" },
    ],
  });
  for (const port of [3000, 3001]) expect((await door.visit(other, port, path)).status).toBe(404);
  expect((await door.visit(sandbox, 3000, path)).status).toBe(404);
  const start = path.indexOf("=") + 1;
  for (let at = start; at < path.length; at++) {
    const changed = path.slice(0, at) + (path[at] === "1" ? "2" : "1") + path.slice(at + 1);
    // The last character of base64url holds bits that stand for nothing.
    if (at < path.length - 1) expect([at, (await door.visit(sandbox, 3001, changed)).status]).toEqual([at, 404]);
  }
  const short = pathOf(await door.address(sandbox, 3001, { ttl: 1, path: "/index" }));
  const visit = await door.visit(sandbox, 3001, short);
  expect(visit.status).toBe(200);
  for (let status = 200; status !== 401;) {
    status = (await door.visit(sandbox, 3001, short)).status;
    expect([200, 401]).toContain(status);
  }
  expect((await door.visit(sandbox, 3001, "/index", { headers: { cookie: cookieOf(visit) } })).status).toBe(404);
});

test("a browser's token is changed for a cookie and leaves the address", async () => {
  const { door, sandbox } = await openServed();
  const address = await door.address(sandbox, 3001, { path: "/index?a=1&b=%20" });
  const opened = await door.visit(sandbox, 3001, pathOf(address), { headers: PAGE });
  expect([opened.status, opened.headers.location, opened.headers["referrer-policy"]]).toEqual([303, "/index?a=1&b=%20", "no-referrer"]);
});

test("publishing anew voids the addresses from before, and unpublishing all of them", async () => {
  const { door, sandbox } = await openServed();
  const ports = `/v1/sandboxes/${sandbox.id}/ports`;
  const before = pathOf(await door.address(sandbox, 3001, { path: "/index" }));
  expect((await door.call("POST", ports, { port: 3001, visibility: "token" })).status).toBe(200);
  expect((await door.visit(sandbox, 3001, before)).status).toBe(404);
  const after = pathOf(await door.address(sandbox, 3001, { path: "/index" }));
  expect((await door.visit(sandbox, 3001, after)).status).toBe(200);
  expect((await door.call("DELETE", `${ports}/3001`)).status).toBe(204);
  expect((await door.visit(sandbox, 3001, after)).status).toBe(404);
  expect((await door.call("DELETE", `${ports}/3001`)).status).toBe(404);
  const listed = await door.call("GET", ports);
  expect((listed.body as { data: PortInfo[] }).data.map(({ port, visibility, source }) => [port, visibility, source])).toEqual([
    [3000, "private", "profile"],
    [3002, "public", "profile"],
  ]);
});

test("only what the profile or the operator allows is published, as wide as they allow", async () => {
  const door = await openPreview("fake", { preview: { publish: [{ from: 9000, to: 9001, visibility: "public" }], widest: "token" } });
  const sandbox = await door.sandbox({ ports: [{ port: 80, visibility: "public" }], publish: [{ from: 8000, to: 8010 }] });
  const publish = async (port: number, visibility: string) => {
    const { status, body: answered } = await door.call("POST", `/v1/sandboxes/${sandbox.id}/ports`, {
      port,
      visibility,
    });
    const body = answered as PortInfo & { error?: WireError };
    return status === 200 ? body.visibility : (body.error?.code ?? status);
  };
  expect(await publish(7999, "private")).toBe("policy_denied");
  expect(await publish(8000, "private")).toBe("private");
  expect(await publish(8000, "token")).toBe("policy_denied");
  expect(await publish(9000, "token")).toBe("token");
  expect(await publish(9001, "public")).toBe("policy_denied");
  await door.serve(sandbox, 80);
  // The profile says public; the operator is narrower.
  expect((await door.visit(sandbox, 80)).status).toBe(404);
});

test("a publication ends at its time, with the visits that are under way", async () => {
  const door = await openPreview("fake");
  const sandbox = await door.sandbox({ publish: [{ from: 8000, to: 8000, visibility: "public" }] });
  await door.serve(sandbox, 8000);
  expect((await door.visit(sandbox, 8000, "/index")).status).toBe(404);
  const { body } = await door.call("POST", `/v1/sandboxes/${sandbox.id}/ports`, { port: 8000, visibility: "public", ttl: 1 });
  expect(Date.parse((body as PortInfo).expires_at ?? "")).toBeGreaterThan(Date.now());
  let status = (await door.visit(sandbox, 8000, "/index")).status;
  expect(status).toBe(200);
  while (status !== 404) ({ status } = await door.visit(sandbox, 8000, "/index"));
  expect(Date.now()).toBeGreaterThanOrEqual(Date.parse((body as PortInfo).expires_at ?? ""));
});

test("a port that is published and closed is a 502 with a page that says what to do", async () => {
  const door = await openPreview("fake");
  const sandbox = await door.sandbox(NETWORK);
  const json = await door.visit(sandbox, 3002);
  expect([json.status, (JSON.parse(json.body) as { error: WireError }).error.code]).toEqual([502, "port_closed"]);
  const page = await door.visit(sandbox, 3002, "/", { headers: PAGE });
  expect(page.headers["content-type"]).toBe("text/html; charset=utf-8");
  expect(page.body).toContain("nothing listens on port 3002");
  expect(page.headers["content-security-policy"]).toContain("default-src 'none'");
});

test("other pages do not act through a session that a browser has", async () => {
  const { door, sandbox } = await openServed();
  const opened = await door.visit(sandbox, 3000, pathOf(await door.address(sandbox, 3000)), { headers: PAGE });
  const cookie = cookieOf(opened);
  const own = `http://${door.hostOf(sandbox, 3000)}`;
  const status = async (headers: Record<string, string>, method = "GET") =>
    (await door.visit(sandbox, 3000, "/index", { method, headers: { cookie, ...headers } })).status;
  expect(await status({ "sec-fetch-site": "same-origin" })).toBe(200);
  expect(await status({ "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document" })).toBe(200);
  expect(await status({ "sec-fetch-site": "same-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "script" })).toBe(403);
  expect(await status({ "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe" })).toBe(403);
  expect(await status({ "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document" }, "POST")).toBe(403);
  expect(await status({ origin: own }, "POST")).toBe(200);
  expect(await status({ origin: "https://evil.test" }, "POST")).toBe(403);
  expect(await status({ origin: "null" }, "POST")).toBe(403);
});

test("a visitor wakes what stands still where its maker let use do so, and finds nothing of it elsewhere", async () => {
  const door = await openPreview("fake");
  const ports = [{ port: 8000, visibility: "public" }];
  const sandbox = await door.sandbox({ ports }, { on_use: "resume" });
  const other = await door.sandbox({ ports });
  for (const one of [sandbox, other]) {
    await door.serve(one, 8000);
    await door.opened.engine.pause(TENANT, one.id, {});
  }
  expect(await door.visit(sandbox, 8000, "/index")).toMatchObject({ status: 200, body: "hello\n" });
  expect(await door.opened.engine.get(TENANT, sandbox.id)).toMatchObject({ state: "ready" });
  expect((await door.visit(other, 8000, "/index")).status).toBe(404);
  expect(await door.opened.engine.get(TENANT, other.id)).toMatchObject({ state: "paused" });
});

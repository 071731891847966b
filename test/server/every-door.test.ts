import { request } from "node:http";
import { describe, expect, it } from "vitest";
import { LOCAL_OPERATOR, newId, POLICY_ACTIONS, type PolicyAction, type Scope } from "../../src/contract/index.ts";
import { ROUTES } from "../../src/server/routes/all.ts";
import type { Route } from "../../src/server/route.ts";
import { openRealDoor, type RealDoor } from "./real-door.ts";

interface Answer {
  readonly status: number;
  readonly code: string | undefined;
  readonly text: string;
}

/** Over a connection of its own, as an upgrade where the route is one. */
function call(door: RealDoor, route: Route, key: string, ids: Readonly<Record<string, string>>): Promise<Answer> {
  const path = route.path.replaceAll(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(ids[name] ?? "x"));
  const { kind } = route.bodyKind;
  const bytes = kind === "bytes";
  const upgrade = /\/ws$|\/tunnel$/.test(path);
  const body = bytes ? Buffer.alloc(1024) : route.exampleBody === undefined ? undefined : JSON.stringify(route.exampleBody);
  const headers = {
    authorization: `Bearer ${key}`,
    ...(body === undefined
      ? {}
      : { "content-type": bytes ? (route.bodyKind as { types: readonly string[] }).types[0] : "application/json" }),
    ...(upgrade
      ? {
          connection: "Upgrade",
          upgrade: path.endsWith("/ws") ? "websocket" : "sandboxer-tunnel",
          "sec-websocket-version": "13",
          "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
        }
      : {}),
  };
  return new Promise((resolve, reject) => {
    const sent = request(
      `${door.url}${path}${route.exampleQuery === "" ? "" : `?${route.exampleQuery}`}`,
      { method: route.method.toUpperCase(), headers, agent: false },
      (answer) => {
        let text = "";
        answer.setEncoding("utf8");
        answer.on("data", (piece: string) => (text += piece));
        answer.on("close", () => {
          const parsed = text.startsWith("{") ? (JSON.parse(text) as { error?: { code: string } }) : {};
          resolve({ status: answer.statusCode ?? 0, code: parsed.error?.code, text });
        });
      },
    );
    sent.on("upgrade", (_, socket) => {
      socket.destroy();
      resolve({ status: 101, code: undefined, text: "" });
    });
    sent.on("error", reject);
    sent.end(body);
  });
}

/** An id of the kind that a route is about: of a sandbox, or what it is given. */
function idFor({ path }: Route, sandbox: string, key = newId("key")): string {
  if (path.startsWith("/v1/keys")) return key;
  return path.startsWith("/v1/webhooks") ? newId("webhook") : path.startsWith("/v1/snapshots") ? newId("snapshot") : sandbox;
}

const named = (route: Route) => `${route.method.toUpperCase()} ${route.path}`;
const asked = ROUTES.filter(({ scope }) => scope !== "open");

async function actionsAsked(door: RealDoor): Promise<Map<number, PolicyAction>> {
  const { data } = await door.engine.events.list({ ...LOCAL_OPERATOR }, { limit: 1000 });
  return new Map(data.filter(({ type }) => type === "policy.denied").map((event) => [event.seq, event.data["action"] as PolicyAction]));
}

describe("every operation of the API", () => {
  it("asks the policy before it does anything, and every action is asked for by one", async () => {
    const door = await openRealDoor();
    const sandbox = await door.sandbox("acme");
    const { process, key, secret } = await prepared(door, sandbox.id);
    await door.engine.policy.apply(LOCAL_OPERATOR, {
      files: [{ name: "a.cedar", text: '@id("none") forbid (principal, action, resource);' }],
    });
    const before = await door.engine.policy.show(LOCAL_OPERATOR);
    const seen = new Set<PolicyAction>();
    for (const route of asked) {
      const id = idFor(route, sandbox.id, key);
      const answer = await call(door, route, secret, { id, pid: process, port: "3000", name: "default" });
      expect([named(route), answer.status, answer.code, answer.text.includes('"rule":"none"')]).toEqual([
        named(route),
        403,
        "policy_denied",
        true,
      ]);
    }
    await door.engine.policy.apply(LOCAL_OPERATOR, { files: [] });
    for (const action of (await actionsAsked(door)).values()) seen.add(action);
    // What the engine was asked to do was not done.
    expect(before.version).toBe(1);
    expect((await door.engine.get(LOCAL_OPERATOR, sandbox.id)).state).toBe("ready");
    expect((await door.engine.keys.list(LOCAL_OPERATOR)).filter(({ revoked_at }) => revoked_at !== null)).toEqual([]);
    // Visitors come through published ports, and not through an operation.
    expect([...seen, "port.visit"].sort()).toEqual(Object.keys(POLICY_ACTIONS).sort());
  });

  it.each(asked.map((route) => [named(route), route] as const))("%s is refused to keys without its scope", async (_, route) => {
    const door = await openRealDoor();
    const others = (["read", "write", "secrets"] as Scope[]).filter((scope) => scope !== route.scope);
    const { secret } = await door.key("acme", others);
    const sandbox = await door.sandbox("acme");
    const id = idFor(route, sandbox.id);
    const answer = await call(door, route, secret, { id, pid: newId("process"), port: "3000", name: "default" });
    expect([answer.status, answer.code]).toEqual([403, "forbidden"]);
  });

  it("with another tenant's or another project's sandbox answers as with one that does not exist", async () => {
    const door = await openRealDoor();
    await door.engine.projects.create(LOCAL_OPERATOR, { name: "web", tenant: "acme" });
    await door.engine.projects.create(LOCAL_OPERATOR, { name: "ops", tenant: "acme" });
    const scopes: Scope[] = ["read", "write", "secrets"];
    const made = async (tenant: string, project?: string) =>
      door.engine.keys.create(LOCAL_OPERATOR, { name: "k", tenant, scopes, ...(project === undefined ? {} : { project }) });
    const [owner, sibling, stranger] = [await made("acme", "web"), await made("acme", "ops"), await made("globex")];
    const who = await door.engine.keys.authenticate(owner.secret);
    if (who === undefined) throw new Error("the key does not work");
    const { sandbox } = await door.engine.create(who, {}, {});
    expect(sandbox).toMatchObject({ tenant: "acme", project: "web" });
    const process = (await door.engine.processes.start(who, sandbox.id, { argv: ["sleep", "60"] })).id;
    const routes = asked.filter(({ path, scope }) => path.startsWith("/v1/sandboxes/{id}") && scope !== "admin");
    expect(routes.length).toBeGreaterThan(25);
    const absent = newId("sandbox");
    for (const policy of [[], [{ name: "a.cedar", text: '@id("all") permit (principal, action, resource);' }]]) {
      await door.engine.policy.apply(LOCAL_OPERATOR, { files: policy });
      for (const route of routes)
        for (const { secret } of [sibling, stranger]) {
          const ids = { pid: process, port: "3000", name: "default" };
          const theirs = await call(door, route, secret, { ...ids, id: sandbox.id });
          const none = await call(door, route, secret, { ...ids, id: absent });
          expect([named(route), theirs.status, theirs.code]).toEqual([named(route), none.status, none.code]);
          expect(theirs.status, named(route)).toBe(404);
          const bare = (text: string) => text.replaceAll(/"request_id":"\w+"/g, "").replaceAll(/sb[0-9a-z]{22}/g, "ID");
          expect(bare(theirs.text)).toBe(bare(none.text));
        }
    }
    for (const { secret } of [sibling, stranger]) {
      const read = async (path: string) =>
        (await (await fetch(door.url + path, { headers: { authorization: `Bearer ${secret}` } })).json()) as { data: unknown[] };
      expect((await read("/v1/sandboxes")).data).toEqual([]);
      expect(JSON.stringify((await read("/v1/events?limit=1000")).data)).not.toContain(sandbox.id);
      expect(JSON.stringify((await read("/v1/projects")).data)).not.toContain('"web"');
    }
    const own = await fetch(`${door.url}/v1/sandboxes`, { headers: { authorization: `Bearer ${owner.secret}` } });
    expect(((await own.json()) as { data: { id: string }[] }).data.map(({ id }) => id)).toEqual([sandbox.id]);
  });
});

async function prepared(door: RealDoor, id: string): Promise<{ process: string; key: string; secret: string }> {
  const who = { tenant: "acme", key_id: null, scopes: ["read", "write"] as Scope[] };
  const process = (await door.engine.processes.start(who, id, { argv: ["sleep", "60"] })).id;
  const { key, secret } = await door.key("acme", ["read", "write", "secrets", "admin"]);
  return { process, key: key.id, secret };
}

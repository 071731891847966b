import { connect } from "node:net";
import { describe, expect, it } from "vitest";
import { exactly, hostObjects } from "../support/host-objects.ts";
import { liveIds, type Local, openLocal } from "../support/local-engine.ts";

interface Door {
  post: (path: string, body: unknown, headers?: Record<string, string>) => Promise<Response>;
  url: string;
}

async function door(local: Local, tenant = "acme"): Promise<Door> {
  const { url, key } = await local.listen();
  const headers = { authorization: `Bearer ${await key(tenant)}`, "content-type": "application/json" };
  return {
    url,
    post: (path, body, more = {}) =>
      fetch(url + path, { method: "POST", headers: { ...headers, ...more }, body: typeof body === "string" ? body : JSON.stringify(body) }),
  };
}

/** What a bare connection answers to a text. */
async function raw(url: string, text: string): Promise<string> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  socket.end(text);
  let answer = "";
  try {
    for await (const piece of socket) answer += (piece as Buffer).toString("latin1");
  } catch (thrown) {
    // A server may close on what it refuses before it has read it all.
    if (!(thrown instanceof Error && "code" in thrown && thrown.code === "ECONNRESET")) throw thrown;
  }
  return answer;
}

describe("on the real server over the local provider", () => {
  it("case 65: a tenant, owner or role that the client names is refused, in bodies, queries and metadata alike, or is only data", async () => {
    await using local = await openLocal("tenant");
    const { url, post } = await door(local);
    for (const name of ["tenant", "owner", "role", "scopes", "key_id", "generation", "id", "state"]) {
      expect((await post("/v1/sandboxes", { [name]: "other" })).status, name).toBe(400);
      expect((await post(`/v1/sandboxes?${name}=other`, {})).status, `query ${name}`).toBe(400);
    }
    expect(hostObjects(local.dataDir).running).toEqual([]);
    const answer = await post(
      "/v1/sandboxes",
      { metadata: { tenant: "other", owner: "root" } },
      { "x-tenant": "other", "x-forwarded-user": "root", "x-original-user": "other" },
    );
    const made = (await answer.json()) as { id: string; tenant: string };
    expect([answer.status, made.tenant]).toEqual([201, "acme"]);
    const other = await door(local, "other");
    const theirs = await other.post(`/v1/sandboxes/${made.id}/exec`, { argv: ["true"] });
    const absent = await other.post(`/v1/sandboxes/${made.id.slice(0, -1)}${made.id.endsWith("0") ? "1" : "0"}/exec`, { argv: ["true"] });
    const told = async (response: Response) => ((await response.json()) as { error: { code: string } }).error.code;
    expect([theirs.status, await told(theirs)]).toEqual([absent.status, await told(absent)]);
    expect(theirs.status).toBe(404);
    expect(url).toContain("127.0.0.1");
  });

  it("case 66: fifty creates at once with one idempotency key make one sandbox on this host", async () => {
    await using local = await openLocal("fifty");
    const { post } = await door(local);
    const answers = await Promise.all(
      Array.from({ length: 50 }, () => post("/v1/sandboxes", { name: "one" }, { "idempotency-key": "fifty" })),
    );
    const ids = new Set((await Promise.all(answers.map((answer) => answer.json() as Promise<{ id: string }>))).map(({ id }) => id));
    expect(ids.size).toBe(1);
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(1);
    expect(answers.filter((answer) => answer.status === 200 && answer.headers.get("idempotency-replayed") === "true")).toHaveLength(49);
    expect((await post("/v1/sandboxes", { name: "two" }, { "idempotency-key": "fifty" })).status).toBe(409);
    await local.engine.sweep();
    const seen = hostObjects(local.dataDir);
    expect(seen).toEqual(exactly([...ids], seen));
  });

  it("case 67: thirty creates at once at a limit of five make exactly five, and ended ones free their place", async () => {
    await using local = await openLocal("quota", { config: { limits: { max_sandboxes: 5 } } });
    const { post } = await door(local);
    const statuses = (await Promise.all(Array.from({ length: 30 }, () => post("/v1/sandboxes", {})))).map(({ status }) => status);
    expect(statuses.filter((status) => status === 201)).toHaveLength(5);
    expect(statuses.filter((status) => status === 429)).toHaveLength(25);
    await local.engine.sweep();
    const live = await liveIds(local.engine);
    const seen = hostObjects(local.dataDir);
    expect(live).toHaveLength(5);
    expect(seen).toEqual(exactly(live, seen));
    await local.engine.destroy({ tenant: "acme", key_id: null, scopes: ["write"] }, live[0] ?? "");
    expect((await post("/v1/sandboxes", {})).status).toBe(201);
    expect((await post("/v1/sandboxes", {})).status).toBe(429);
  });

  it("case 68: deep JSON, huge headers, torn requests and __proto__ are refused, make nothing, and the server lives on", async () => {
    await using local = await openLocal("shapes");
    const { url, post } = await door(local);
    const deep = `{"metadata":${'{"a":'.repeat(100_000)}1${"}".repeat(100_000)}}`;
    for (const body of [
      deep,
      '{"__proto__":{"tenant":"other"}}',
      '{"env":{"__proto__":{"x":"1"}}}',
      '{"constructor":{"prototype":{}}}',
      "[]",
      "null",
      '"x"',
      "{",
    ]) {
      expect((await post("/v1/sandboxes", body)).status, body.slice(0, 40)).toBe(400);
    }
    expect((await post("/v1/sandboxes", {}, { "x-huge": "h".repeat(60_000) })).status).toBe(431);
    const host = new URL(url).host;
    for (const text of [
      `GET /${"a".repeat(100_000)} HTTP/1.1\r\nhost: ${host}\r\n\r\n`,
      `POST /v1/sandboxes HTTP/1.1\r\nhost: ${host}\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}`,
      `POST /v1/sandboxes HTTP/1.1\r\nhost: ${host}\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n{}`,
      "\0\0\0\r\n\r\n",
    ])
      expect(await raw(url, text)).toMatch(/^(HTTP\/1\.1 4\d\d |$)/);
    expect(({} as { tenant?: string }).tenant).toBeUndefined();
    expect(hostObjects(local.dataDir).running).toEqual([]);
    expect((await post("/v1/sandboxes", {})).status).toBe(201);
  });
});

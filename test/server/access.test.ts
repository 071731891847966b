import { describe, expect, it } from "vitest";
import { LOCAL_OPERATOR, newId, type Scope, type WireError } from "../../src/contract/index.ts";
import { openRealDoor, type RealDoor } from "./real-door.ts";

interface Operation {
  operation: string;
  path: string;
  method: string;
  scope: "read" | "write" | "admin" | "open";
  query: string;
  body: { type: string; text: string } | undefined;
}

interface Document {
  paths: Record<
    string,
    Record<
      string,
      {
        operationId: string;
        "x-scope": Operation["scope"];
        "x-example-query"?: string;
        requestBody?: { content: Record<string, { example?: unknown }> };
      }
    >
  >;
}

/** Every operation of the OpenAPI document, with the example it gives itself. */
async function operations(door: RealDoor): Promise<Operation[]> {
  const document = (await (await fetch(`${door.url}/openapi.json`)).json()) as Document;
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => {
      const content = operation.requestBody?.content ?? {};
      const type = "application/json" in content ? "application/json" : Object.keys(content)[0];
      const example = content["application/json"]?.example;
      return {
        operation: operation.operationId,
        path,
        method: method.toUpperCase(),
        scope: operation["x-scope"],
        query: operation["x-example-query"] ?? "",
        body: type === undefined ? undefined : { type, text: example === undefined ? "x" : JSON.stringify(example) },
      };
    }),
  );
}

async function ask(
  door: RealDoor,
  operation: Operation,
  ids: { id: string; pid: string },
  authorization: string | undefined,
): Promise<{ status: number; error: WireError | undefined }> {
  const { method, body } = operation;
  const id = operation.path.startsWith("/v1/keys") ? newId("key") : ids.id;
  const target = operation.path.replace("{id}", id).replace("{pid}", ids.pid).replace("{name}", "default").replace("{port}", "3000");
  const headers = new Headers(authorization === undefined ? {} : { authorization });
  if (body !== undefined) headers.set("content-type", body.type);
  const url = `${door.url}${target}${operation.query === "" ? "" : `?${operation.query.replace("timeout=30", "timeout=0")}`}`;
  const stop = new AbortController();
  const response = await fetch(url, { method, headers, signal: stop.signal, ...(body === undefined ? {} : { body: body.text }) });
  const isJson = response.headers.get("content-type") === "application/json";
  const error = isJson && !response.ok ? ((await response.json()) as { error: WireError }).error : undefined;
  stop.abort();
  return { status: response.status, error };
}

/** What an error says, without what is particular to this one call. */
function shape(error: WireError | undefined, id: string): unknown {
  const { request_id: _, ...rest } = error ?? { request_id: undefined };
  return JSON.parse(JSON.stringify(rest).replaceAll(id, "ID"));
}

const EVERYTHING: Scope[] = ["read", "write", "admin"];

async function setting(door: RealDoor): Promise<{ operations: Operation[]; ids: { id: string; pid: string } }> {
  const { id, tenant } = await door.sandbox("acme");
  const { id: pid } = await door.engine.processes.start({ tenant, key_id: null, scopes: EVERYTHING }, id, { shell: "sleep 300" });
  return { operations: await operations(door), ids: { id, pid } };
}

async function bearer(door: RealDoor, tenant: string, scopes: Scope[]): Promise<string> {
  return `Bearer ${(await door.key(tenant, scopes)).secret}`;
}

describe("every route of the OpenAPI document", () => {
  it("lets the right key in", async () => {
    const door = await openRealDoor();
    const { operations, ids } = await setting(door);
    expect(operations.length).toBeGreaterThan(40);
    const key = await bearer(door, "acme", EVERYTHING);
    for (const operation of operations.toSorted(
      (a, b) => Number(a.operation === "destroySandbox") - Number(b.operation === "destroySandbox"),
    )) {
      const { status, error } = await ask(door, operation, ids, key);
      expect([401, 403, 405, 415, 500], `${operation.method} ${operation.path}: ${error?.message}`).not.toContain(status);
      expect(["sandbox_not_found", "process_not_found"], `${operation.method} ${operation.path}`).not.toContain(error?.code);
    }
  });

  it("refuses no key, a malformed one, an unknown one and a revoked one, all with 401", async () => {
    const door = await openRealDoor();
    const { operations, ids } = await setting(door);
    const { secret, key } = await door.key("acme", EVERYTHING);
    const revoked = await door.key("acme", EVERYTHING);
    await door.engine.keys.revoke(LOCAL_OPERATOR, revoked.key.id);
    const presented = [
      undefined, "", "Bearer", "Bearer sbx_short", `Bearer sbx_${"0".repeat(40)}`, `Bearer ${revoked.secret}`, `Bearer ${key.id}`, `Basic ${secret}`, secret, `Bearer ${secret} x`,
    ]; // prettier-ignore
    for (const operation of operations) {
      for (const authorization of presented) {
        const { status, error } = await ask(door, operation, ids, authorization);
        if (operation.scope === "open") expect(status, operation.path).toBe(200);
        else expect([status, error?.code], `${operation.method} ${operation.path} with ${authorization}`).toEqual([401, "unauthorized"]);
      }
    }
    await untouched(door, ids.id);
  });

  it("refuses a key without the scope with 403, before anything is done", async () => {
    const door = await openRealDoor();
    const { operations, ids } = await setting(door);
    const reader = await bearer(door, "acme", ["read"]);
    const writer = await bearer(door, "acme", ["read", "write"]);
    const onlyWriter = await bearer(door, "acme", ["write"]);
    for (const operation of operations) {
      const name = `${operation.method} ${operation.path}`;
      if (operation.scope === "write" || operation.scope === "admin")
        expect((await ask(door, operation, ids, reader)).status, name).toBe(403);
      if (operation.scope === "admin") expect((await ask(door, operation, ids, writer)).status, name).toBe(403);
      if (operation.scope === "read") expect((await ask(door, operation, ids, onlyWriter)).status, name).toBe(403);
      if (operation.method !== "GET" && !["/v1/route", "/v1/network/check"].includes(operation.path))
        expect(operation.scope, name).not.toBe("read");
    }
    expect((await fetch(`${door.url}/v1/sandboxes?all_tenants=true`, { headers: { authorization: writer } })).status).toBe(403);
    await untouched(door, ids.id);
  });

  it("answers for another tenant's sandbox as for one that does not exist", async () => {
    const door = await openRealDoor();
    const { operations, ids } = await setting(door);
    const stranger = await bearer(door, "other", ["read", "write"]);
    let compared = 0;
    for (const operation of operations) {
      if (!operation.path.startsWith("/v1/sandboxes/{id}") || /\/(ws|tunnel)$/.test(operation.path)) continue;
      const absent = newId("sandbox");
      const [theirs, none] = [await ask(door, operation, ids, stranger), await ask(door, operation, { ...ids, id: absent }, stranger)];
      expect([theirs.status, theirs.error?.code], `${operation.method} ${operation.path}`).toEqual([404, "sandbox_not_found"]);
      expect(shape(theirs.error, ids.id)).toEqual(shape(none.error, absent));
      compared++;
    }
    expect(compared).toBeGreaterThan(25);
    const list = (await (await fetch(`${door.url}/v1/sandboxes`, { headers: { authorization: stranger } })).json()) as { data: unknown[] };
    expect(list.data).toEqual([]);
    const events = (await (await fetch(`${door.url}/v1/events?sandbox_id=${ids.id}`, { headers: { authorization: stranger } })).json()) as {
      data?: unknown[];
    };
    expect(events.data ?? []).toEqual([]);
    await untouched(door, ids.id);
  });
});

/** Nothing but the set-up has happened to the tenant. */
async function untouched(door: RealDoor, id: string): Promise<void> {
  const who = { tenant: "acme", key_id: null, scopes: EVERYTHING };
  expect((await door.engine.list(who, { limit: 10 })).data.map((sandbox) => [sandbox.id, sandbox.state])).toEqual([[id, "ready"]]);
  const { data } = await door.engine.events.list(who, { sandboxId: id, limit: 100 });
  expect(data.filter(({ type }) => type.startsWith("exec"))).toEqual([]);
}

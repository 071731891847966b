import { describe, expect, it } from "vitest";
import { MAX_SECRET_BYTES, type SecretInfo } from "../../src/contract/index.ts";
import { errorOf, openDoor } from "./door.ts";
import { openRealDoor } from "./real-door.ts";

describe("secrets over HTTP", () => {
  it("are stored as JSON or as they are, listed without values, rotated and removed", async () => {
    const door = await openRealDoor();
    const { secret: key } = await door.key("acme", ["read", "secrets"]);
    const call = (method: string, path: string, body?: string | Uint8Array<ArrayBuffer>, type = "application/json") =>
      fetch(door.url + path, {
        method,
        headers: { authorization: `Bearer ${key}`, "content-type": type },
        ...(body === undefined ? {} : { body }),
      });
    const info = async (answer: Promise<Response>) => (await (await answer).json()) as SecretInfo;
    const put = JSON.stringify({ value: "tell-no-one", hosts: ["api.test"] });
    expect(await info(call("PUT", "/v1/secrets/npm", put))).toMatchObject({
      object: "secret",
      name: "npm",
      tenant: "acme",
      version: 1,
      hosts: ["api.test"],
    });
    expect((await call("PUT", "/v1/secrets/npm", put)).status).toBe(409);
    expect(await info(call("PUT", "/v1/secrets/npm?replace=true", put))).toMatchObject({ version: 2 });
    for (const type of ["application/octet-stream", "text/plain", "text/plain; charset=utf-8"])
      expect((await call("POST", "/v1/secrets/npm/rotate", "tell-no-one-raw\n", type)).status, type).toBe(200);
    const text = await (await call("GET", "/v1/secrets")).text();
    expect(JSON.parse(text)).toMatchObject({ data: [{ name: "npm", version: 5, hosts: ["api.test"] }] });
    expect(text).not.toContain("tell-no-one");
    expect((await call("POST", "/v1/secrets/none/rotate", put)).status).toBe(404);
    expect(await info(call("DELETE", "/v1/secrets/npm"))).toMatchObject({ removed_at: expect.any(String) as string });
    expect(await (await call("GET", "/v1/secrets")).json()).toEqual({ object: "list", data: [] });
  });

  it("take a raw value as it is but for one line end, and refuse what cannot be one", async () => {
    const door = await openDoor();
    const put = (body: string | Buffer<ArrayBuffer>) =>
      door.call("/v1/secrets/a", { method: "PUT", headers: { "content-type": "application/octet-stream" }, body });
    expect((await put(" a b \r\n")).status).toBe(200);
    expect((await put("x".repeat(MAX_SECRET_BYTES) + "\n")).status).toBe(200);
    expect(door.tiny.seen.writes).toEqual(["secret  a b ", `secret ${"x".repeat(MAX_SECRET_BYTES)}`]);
    expect((await put("x".repeat(MAX_SECRET_BYTES + 3))).status).toBe(413);
    expect((await put(Buffer.from([0x61, 0xff]))).status).toBe(400);
    const real = await openRealDoor();
    const { secret: key } = await real.key("acme", ["secrets"]);
    for (const body of ["", "\n", "a\nb", "a\n\n", "a\0b"]) {
      const init = { method: "PUT", headers: { authorization: `Bearer ${key}`, "content-type": "text/plain" }, body };
      expect((await fetch(`${real.url}/v1/secrets/a`, init)).status, JSON.stringify(body)).toBe(400);
    }
  });

  it("are repeated in no error and no line of the log, whatever is wrong with the request", async () => {
    const door = await openDoor();
    const bad = [
      '{"value": "tell-no-one"', '{"value": tell-no-one}', '{"value": "tell-no-one\n"}', '"tell-no-one"', '{"value": ["tell-no-one"]}', '{"value": {"x": "tell-no-one"}}',
      '{"value": "tell-no-one", "extra": "tell-no-one"}', `{"value": "${"tell-no-one".repeat(7000)}"}`, '{"value": "tell-no-one\\u0000"}',
    ]; // prettier-ignore
    for (const body of bad) {
      const answer = await door.call("/v1/secrets/a", { method: "PUT", headers: { "content-type": "application/json" }, body });
      expect(answer.status, body.slice(0, 60)).toBe(400);
      expect(JSON.stringify(await errorOf(answer)), body.slice(0, 60)).not.toContain("tell-no");
    }
    expect((await door.call("/v1/secrets/a", { method: "PUT", body: "tell-no-one" })).status).toBe(200);
    expect(door.tiny.seen.writes).toEqual(["secret tell-no-one"]);
    expect(door.log.length).toBeGreaterThan(bad.length);
    expect(JSON.stringify(door.log)).not.toContain("tell-no");
  });

  it("are changed with the scope secrets or admin, and listed with read", async () => {
    const door = await openRealDoor();
    const attempt = async (scopes: ("read" | "write" | "secrets" | "admin")[]) => {
      const { secret: key } = await door.key("acme", scopes);
      const headers = { authorization: `Bearer ${key}`, "content-type": "text/plain" };
      const set = await fetch(`${door.url}/v1/secrets/a?replace=true`, { method: "PUT", headers, body: "x" });
      return [set.status, (await fetch(`${door.url}/v1/secrets`, { headers })).status];
    };
    expect(await attempt(["read", "write"])).toEqual([403, 200]);
    expect(await attempt(["secrets"])).toEqual([200, 403]);
    expect(await attempt(["admin"])).toEqual([200, 200]);
  });
});

import { request } from "node:http";
import { describe, expect, it } from "vitest";
import { newId } from "../../src/contract/index.ts";
import { errorOf, openDoor, type TestDoor } from "./door.ts";

async function refused(response: Response, status: number, code: string) {
  expect(response.status).toBe(status);
  expect(response.headers.get("x-request-id")).toMatch(/^rq/);
  const error = await errorOf(response);
  expect(error.code).toBe(code);
  expect(error.request_id).toBe(response.headers.get("x-request-id"));
  return error;
}

/** Sends a body without saying how long it is. */
async function chunked(door: TestDoor, path: string, pieces: number): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${door.key}`, "content-type": "application/json", "transfer-encoding": "chunked" };
    const client = request(door.url + path, { method: "POST", headers }, (response) => {
      let body = "";
      response.on("data", (piece: Buffer) => (body += piece.toString()));
      response.on("end", () => resolve({ status: response.statusCode ?? 0, body }));
    });
    client.on("error", reject);
    for (let i = 0; i < pieces; i++) client.write(" ".repeat(1024));
    client.end("{}");
  });
}

describe("a body", () => {
  it("of another content type is refused with 415 and the type to send", async () => {
    const door = await openDoor();
    for (const type of ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin1", "application/yaml"]) {
      const error = await refused(
        await door.call("/v1/sandboxes", { method: "POST", body: "{}", headers: { "content-type": type } }),
        415,
        "unsupported_media_type",
      );
      expect(error.hint).toContain("application/json");
    }
    const compressed = { "content-type": "application/json", "content-encoding": "gzip" };
    await refused(await door.call("/v1/sandboxes", { method: "POST", body: "{}", headers: compressed }), 415, "unsupported_media_type");
    expect(door.tiny.seen.creates).toBe(0);
  });

  it("with a charset of UTF-8 is taken", async () => {
    const door = await openDoor();
    const response = await door.call("/v1/sandboxes", {
      method: "POST",
      body: "{}",
      headers: { "content-type": "Application/JSON; charset=UTF-8" },
    });
    expect(response.status).toBe(201);
  });

  it("over the limit is refused with 413, by its declared length and by what arrives", async () => {
    const door = await openDoor({ maxBodyBytes: 8192 });
    await refused(await door.json("/v1/sandboxes", "POST", { name: "x".repeat(9000) }), 413, "body_too_large");
    const { status, body } = await chunked(door, "/v1/sandboxes", 16);
    expect(status).toBe(413);
    expect(body).toContain("body_too_large");
    expect((await chunked(door, "/v1/sandboxes", 4)).status).toBe(201);
    expect(door.tiny.seen.creates).toBe(1);
  });

  it("that is not JSON, or not UTF-8, is refused with 400", async () => {
    const door = await openDoor();
    const headers = { "content-type": "application/json" };
    for (const body of ["", "{", "nope", '{"name": "x"', Buffer.from([0x22, 0xff, 0x22])]) {
      await refused(await door.call("/v1/sandboxes", { method: "POST", body, headers }), 400, "invalid_request");
    }
  });

  it("nested beyond reason is refused and does not overflow the stack", async () => {
    const door = await openDoor();
    const headers = { "content-type": "application/json" };
    const deep = "[".repeat(400_000) + "]".repeat(400_000);
    await refused(await door.call("/v1/sandboxes", { method: "POST", body: deep, headers }), 400, "invalid_request");
    const yaml = "[".repeat(60_000);
    await refused(
      await door.call("/v1/profiles", { method: "POST", body: yaml, headers: { "content-type": "application/yaml" } }),
      400,
      "invalid_request",
    );
  });

  it("with a key __proto__ anywhere is refused", async () => {
    const door = await openDoor();
    for (const body of ['{"__proto__": {"name": "x"}}', '{"env": {"__proto__": "x"}}']) {
      const error = await refused(
        await door.call("/v1/sandboxes", { method: "POST", body, headers: { "content-type": "application/json" } }),
        400,
        "invalid_request",
      );
      expect(error.issues?.[0]?.path).toBe("__proto__");
    }
  });

  it("with unknown keys is refused with their paths and the nearest known ones", async () => {
    const door = await openDoor();
    const error = await refused(
      await door.json("/v1/sandboxes", "POST", { tll: "3m", resources: { memry: "1GiB" } }),
      400,
      "invalid_request",
    );
    expect(error.issues).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ path: "tll", nearest: "ttl" }),
        expect.objectContaining({ path: "resources.memry", nearest: "memory" }),
      ]),
    );
    expect(door.tiny.seen.creates).toBe(0);
  });

  it("cannot name a tenant or an owner, on any route that takes one", async () => {
    const door = await openDoor();
    const { id } = door.tiny.sandbox("acme");
    for (const path of [
      "/v1/sandboxes",
      "/v1/route",
      `/v1/sandboxes/${id}/renew`,
      `/v1/sandboxes/${id}/pause`,
      `/v1/sandboxes/${id}/touch`,
      `/v1/sandboxes/${id}/exec`,
      "/v1/sweep",
    ]) {
      const error = await refused(await door.json(path, "POST", { tenant: "other" }), 400, "invalid_request");
      expect(error.issues?.map((issue) => issue.path)).toContain("tenant");
    }
  });

  it("in YAML is taken for profiles, and its aliases cannot explode", async () => {
    const door = await openDoor();
    const headers = { "content-type": "application/yaml" };
    const stored = await door.call("/v1/profiles", { method: "POST", body: "kind: profile\nname: small\nversion: 2\n", headers });
    expect(stored.status).toBe(201);
    expect(await stored.json()).toMatchObject({ name: "small", version: 2 });
    const bomb = [
      "a: &a [x, x, x, x, x, x, x, x, x]",
      ..."bcdefgh".split("").map((letter, i) => `${letter}: &${letter} [${Array(9).fill(`*${"abcdefgh"[i]}`).join(", ")}]`),
    ].join("\n");
    await refused(await door.call("/v1/profiles", { method: "POST", body: bomb, headers }), 400, "invalid_request");
    await refused(await door.call("/v1/profiles", { method: "POST", body: "a: [", headers }), 400, "invalid_request");
    await refused(await door.call("/v1/profiles", { method: "POST", body: `a: ${"x".repeat(70_000)}`, headers }), 413, "body_too_large");
  });
});

describe("a query", () => {
  it("with an unknown parameter is refused with the nearest known one", async () => {
    const door = await openDoor();
    const error = await refused(await door.call("/v1/sandboxes?stat=ready"), 400, "invalid_request");
    expect(error.issues?.[0]).toMatchObject({ path: "stat", nearest: "state" });
    await refused(await door.call("/v1/profiles?verbose=1"), 400, "invalid_request");
    await refused(await door.call("/v1/sandboxes?__proto__=1"), 400, "invalid_request");
  });

  it("with a value out of bounds, given twice or badly escaped is refused", async () => {
    const door = await openDoor();
    for (const query of [
      "limit=0",
      "limit=201",
      "limit=abc",
      "limit=-1",
      "limit=1e3",
      "limit=1&limit=2",
      "all_tenants=yes",
      "state=ready,gone",
      "cursor=%zz",
      "cursor=%ff",
      "cursor=",
      "metadata=x",
    ]) {
      await refused(await door.call(`/v1/sandboxes?${query}`), 400, "invalid_request");
    }
    const error = await errorOf(await door.call("/v1/sandboxes?state=redy"));
    expect(error.issues?.[0]?.nearest).toBe("ready");
  });

  it("with a cursor that is not ours is refused", async () => {
    const door = await openDoor();
    await refused(await door.call("/v1/sandboxes?cursor=bogus"), 400, "invalid_request");
  });
});

describe("an id", () => {
  it("that is malformed is refused with 400 and its place in the address", async () => {
    const door = await openDoor();
    const id = newId("sandbox");
    for (const [path, place] of [
      ["/v1/sandboxes/abc", "id"],
      [`/v1/sandboxes/${id.toUpperCase()}`, "id"],
      [`/v1/sandboxes/${newId("process")}`, "id"],
      [`/v1/sandboxes/${id}/processes/12`, "pid"],
      ["/v1/sandboxes/..%2f..%2fetc/usage", "id"],
    ]) {
      const error = await refused(await door.call(path ?? ""), 400, "invalid_request");
      expect(error.issues?.[0]?.path).toBe(place);
    }
    await refused(await door.call("/v1/keys/abc", { method: "DELETE" }), 400, "invalid_request");
  });
});

describe("an Idempotency-Key", () => {
  it("must be 1 to 255 visible ASCII characters", async () => {
    const door = await openDoor();
    for (const key of ["", "with space", "x".repeat(256), "é"]) {
      const error = await refused(await door.json("/v1/sandboxes", "POST", {}, { "idempotency-key": key }), 400, "invalid_request");
      expect(error.issues?.[0]?.path).toBe("Idempotency-Key");
    }
    expect((await door.json("/v1/sandboxes", "POST", {}, { "idempotency-key": "x".repeat(255) })).status).toBe(201);
    expect(door.tiny.seen.creates).toBe(1);
  });
});

describe("an error", () => {
  it("carries Retry-After in whole seconds where there is a time to wait", async () => {
    const door = await openDoor();
    const response = await door.json("/v1/keys", "POST", { name: "ci" });
    expect(response.headers.get("retry-after")).toBe("3");
    await refused(response, 503, "storage_unavailable");
  });

  it("that nobody classified tells the client nothing of the host, and the log everything", async () => {
    const door = await openDoor();
    const { id } = door.tiny.sandbox("acme");
    door.tiny.fault = new Error("/secret/host/path is gone");
    const response = await door.call(`/v1/sandboxes/${id}`);
    const error = await refused(response, 500, "internal");
    expect(JSON.stringify(error)).not.toContain("/secret");
    const line = door.log.find(({ fields }) => fields["request_id"] === error.request_id && fields["err"] !== undefined);
    expect(line?.fields["err"]).toBe(door.tiny.fault);
  });
});

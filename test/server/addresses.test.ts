import { describe, expect, it } from "vitest";
import { newId } from "../../src/contract/index.ts";
import { errorOf, openDoor } from "./door.ts";

describe("an unknown address", () => {
  it("is 404 in our error form and names the nearest route", async () => {
    const door = await openDoor();
    const id = newId("sandbox");
    const cases = [
      ["/v1/sandbox", "/v1/sandboxes"],
      ["/v1/sandboxes/", "/v1/sandboxes"],
      [`/v1/sandboxes/${id}/exce`, "/v1/sandboxes/{id}/exec"],
      [`/v1/sandboxes/${id}/processes/${newId("process")}/singal`, "/v1/sandboxes/{id}/processes/{pid}/signal"],
      ["/healthz", "/health"],
    ];
    for (const [path = "", near] of cases) {
      const response = await door.call(path);
      expect(response.status).toBe(404);
      const error = await errorOf(response);
      expect(error).toMatchObject({ code: "not_found", issues: [{ nearest: near }] });
    }
  });

  it("is 404 also where nothing is near, and however long it is", async () => {
    const door = await openDoor();
    for (const path of ["/", "/wp-login.php", `/${"x".repeat(4000)}`, "/v1/%ff%fe", "/%2e%2e/%2e%2e/etc/passwd"]) {
      const response = await door.call(path);
      expect(response.status).toBe(404);
      expect((await errorOf(response)).message.length).toBeLessThan(512);
    }
  });
});

describe("a known address", () => {
  it("with a method it does not have is 405 with Allow", async () => {
    const door = await openDoor();
    for (const [method, path, allow] of [
      ["PATCH", "/v1/sandboxes", "GET, HEAD, POST, OPTIONS"],
      ["PUT", "/v1/route", "POST, OPTIONS"],
      ["GET", `/v1/sandboxes/${newId("sandbox")}/exec`, "POST, OPTIONS"],
      ["HEAD", "/v1/sweep", "POST, OPTIONS"],
      ["POST", "/health", "GET, HEAD, OPTIONS"],
    ]) {
      const response = await door.call(path ?? "", { method: method ?? "" });
      expect(response.status).toBe(405);
      expect(response.headers.get("allow")).toBe(allow);
      if (method !== "HEAD") expect((await errorOf(response)).code).toBe("method_not_allowed");
    }
  });

  it("answers OPTIONS with what it has", async () => {
    const door = await openDoor();
    const response = await door.call(`/v1/sandboxes/${newId("sandbox")}/files`, { method: "OPTIONS" });
    expect(response.status).toBe(204);
    expect(response.headers.get("allow")).toBe("DELETE, GET, HEAD, PUT, OPTIONS");
  });

  it("answers HEAD with the headers of GET and no body, also where GET would stream", async () => {
    const door = await openDoor();
    const { id } = door.tiny.sandbox("acme");
    await door.call(`/v1/sandboxes/${id}/files?path=a`, { method: "PUT", body: Buffer.from("hello") });
    const page = await door.call("/v1/sandboxes", { method: "HEAD" });
    expect(page.status).toBe(200);
    expect(Number(page.headers.get("content-length"))).toBeGreaterThan(100);
    const file = await door.call(`/v1/sandboxes/${id}/files?path=a`, { method: "HEAD" });
    expect(JSON.parse(decodeURIComponent(file.headers.get("x-file-info") ?? ""))).toMatchObject({ path: "a", size: 5 });
    expect(await file.text()).toBe("");
    const events = await door.call("/v1/events", { method: "HEAD", headers: { accept: "text/event-stream" } });
    expect(events.headers.get("content-type")).toContain("text/event-stream");
    expect(await events.text()).toBe("");
    expect((await door.call(`/v1/sandboxes/${newId("sandbox")}`, { method: "HEAD" })).status).toBe(404);
  });
});

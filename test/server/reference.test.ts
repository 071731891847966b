import { createHash } from "node:crypto";
import { pino } from "pino";
import { describe, expect, it } from "vitest";
import { ERROR_TABLE } from "../../src/contract/index.ts";
import { createServer } from "../../src/server/server.ts";
import { eventually, openDoor } from "./door.ts";
import { TinyEngine } from "./tiny-engine.ts";

interface Operation {
  operationId: string;
  summary: string;
  tags: string[];
  security: unknown[];
  "x-scope": string;
  requestBody?: { content: Record<string, { schema?: unknown; example?: unknown }> };
  responses: Record<string, { description: string; content?: Record<string, { schema?: { $ref?: string } }> }>;
}
interface Document {
  openapi: string;
  paths: Record<string, Record<string, Operation>>;
  components: Record<string, Record<string, unknown>>;
  tags: { name: string }[];
}

async function document(url: string): Promise<Document> {
  return (await (await fetch(`${url}/openapi.json`)).json()) as Document;
}

describe("the OpenAPI document", () => {
  it("is 3.1, and every reference in it leads somewhere", async () => {
    const { url } = await openDoor();
    const text = await (await fetch(`${url}/openapi.json`)).text();
    const parsed = JSON.parse(text) as Document;
    expect(parsed.openapi).toBe("3.1.0");
    const references = [...text.matchAll(/"\$ref":"#\/components\/(\w+)\/([^"]+)"/g)];
    expect(references.length).toBeGreaterThan(100);
    expect([...text.matchAll(/"\$ref"/g)].length).toBe(references.length);
    for (const [, group = "", name = ""] of references) expect(parsed.components[group]?.[name], `${group}/${name}`).toBeDefined();
  });

  it("names every operation once, with its key, its scope, its success and its errors in the one form", async () => {
    const { url } = await openDoor();
    const { paths, tags } = await document(url);
    const all = Object.entries(paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => ({ path, method, ...operation })),
    );
    expect(new Set(all.map(({ operationId }) => operationId)).size).toBe(all.length);
    const known = tags.map(({ name }) => name);
    for (const operation of all) {
      expect(known).toContain(operation.tags[0]);
      expect(operation.security).toEqual(operation["x-scope"] === "open" ? [] : [{ key: [] }]);
      const statuses = Object.keys(operation.responses);
      expect(statuses.some((status) => status < "300")).toBe(true);
      expect(statuses).toEqual(expect.arrayContaining(["400", "403", "500", ...(operation["x-scope"] === "open" ? [] : ["401"])]));
      for (const [status, { content }] of Object.entries(operation.responses)) {
        if (status >= "400") expect(content?.["application/json"]?.schema?.$ref).toBe("#/components/schemas/ErrorBody");
      }
      const body = operation.requestBody?.content["application/json"];
      if (body !== undefined) expect(body.example, operation.operationId).toBeDefined();
    }
  });

  it("has an example for every error code there is", async () => {
    const { url } = await openDoor();
    const { components } = await document(url);
    expect(Object.keys(components["examples"] ?? {}).sort()).toEqual(Object.keys(ERROR_TABLE).sort());
  });

  it("gives examples that its own routes take", async () => {
    const door = await openDoor();
    const { paths } = await document(door.url);
    const { id } = door.tiny.sandbox("acme");
    for (const path of [
      "/v1/sandboxes",
      "/v1/route",
      "/v1/sandboxes/{id}/renew",
      "/v1/sandboxes/{id}/pause",
      "/v1/sandboxes/{id}/exec",
      "/v1/sandboxes/{id}/processes",
      "/v1/profiles",
    ]) {
      const example = paths[path]?.["post"]?.requestBody?.content["application/json"]?.example;
      expect((await door.json(path.replace("{id}", id), "POST", example)).status, path).toBeLessThan(300);
    }
  });
});

describe("the reference page", () => {
  it("works without any other host: no address in it, and a policy that lets only its own script and style run", async () => {
    const { url } = await openDoor();
    const response = await fetch(`${url}/docs`);
    const page = await response.text();
    expect(page).not.toMatch(/https?:\/\//);
    expect(page).not.toMatch(/\b(src|on\w+)=/);
    const policy = response.headers.get("content-security-policy") ?? "";
    expect(policy).toContain("default-src 'none'");
    expect(policy).not.toContain("unsafe");
    for (const tag of ["script", "style"]) {
      const [, text = ""] = new RegExp(`<${tag}>(.*)</${tag}>`, "s").exec(page) ?? [];
      expect(policy).toContain(`${tag}-src 'sha256-${createHash("sha256").update(text).digest("base64")}'`);
    }
  });
});

describe("metrics", () => {
  it("are Prometheus text: the engine's, the answers by route, and the process's own", async () => {
    const door = await openDoor();
    await (await door.call("/v1/profiles/default")).text();
    await (await door.call("/nowhere")).text();
    const response = await door.call("/metrics");
    expect(response.headers.get("content-type")).toContain("version=0.0.4");
    const text = await response.text();
    expect(text).toContain(
      '# HELP sandboxer_sandboxes Live\\nones\n# TYPE sandboxer_sandboxes gauge\nsandboxer_sandboxes{state="a\\"b\\\\c"} 3\n',
    );
    expect(text).toContain('sandboxer_http_requests_total{method="GET",route="/v1/profiles/{name}",status="404"} 1\n');
    expect(text).toContain('sandboxer_http_requests_total{method="GET",route="none",status="404"} 1\n');
    expect(Number(/^process_resident_memory_bytes (\d+)$/m.exec(text)?.[1])).toBeGreaterThan(1e7);
    expect(text).toMatch(/^nodejs_eventloop_delay_seconds\{quantile="0\.99"\} [\d.e-]+$/m);
    for (const line of text.trimEnd().split("\n"))
      expect(line).toMatch(/^(# (HELP|TYPE) \w+ .*|\w+(\{(\w+="(\\.|[^"\\])*",?)+\})? [-+\d.e]+)$/);
  });
});

describe("events", () => {
  it("are followed with their seq as id, and resumed after the last one seen", async () => {
    const door = await openDoor();
    const ids = async (path: string, headers: Record<string, string> = {}): Promise<string[]> => {
      const leave = new AbortController();
      const response = await fetch(door.url + path, {
        headers: { authorization: `Bearer ${door.key}`, accept: "text/event-stream", ...headers },
        signal: leave.signal,
      });
      let text = "";
      for await (const piece of (response.body ?? new ReadableStream()).pipeThrough(new TextDecoderStream())) {
        text += piece;
        if (text.split("\n\n").length > 2) break;
      }
      leave.abort();
      return [...text.matchAll(/^id: (\d+)$/gm)].map(([, id = ""]) => id);
    };
    expect(await ids("/v1/events")).toEqual(["1", "2"]);
    expect(await ids("/v1/events?after=40")).toEqual(["41", "42"]);
    expect(await ids("/v1/events?after=40", { "last-event-id": "90" })).toEqual(["91", "92"]);
    const bad = await door.call("/v1/events", { headers: { accept: "text/event-stream", "last-event-id": "x" } });
    expect(bad.status).toBe(400);
  });
});

describe("pino", () => {
  it("fits as the log", async () => {
    const lines: string[] = [];
    const log = pino({ base: null }, { write: (line: string) => void lines.push(line) });
    const tiny = new TinyEngine();
    tiny.fault = new Error("broken");
    const server = createServer({ engine: tiny.engine(), log, version: "1" });
    const { url } = await server.listen({ port: 0 });
    await fetch(`${url}/v1/sandboxes/${tiny.sandbox("acme").id}`, { headers: { authorization: `Bearer ${tiny.key("acme", ["read"])}` } });
    await eventually(() => lines.length === 2);
    expect(JSON.parse(lines[0] ?? "")).toMatchObject({ level: 50, err: { message: "broken" }, msg: "a request failed" });
    expect(JSON.parse(lines[1] ?? "")).toMatchObject({ level: 30, status: 500, msg: "request" });
    await server.close();
  });
});
